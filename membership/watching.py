"""Follow several collections of the API at once: every object, and every change of one.

A thread a collection puts what it sees into one queue, so that a request is approved the moment
it appears, and nothing is read again and again. The threads are daemons: they end with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kube_nodes.membership.api import Api, ApiError, Object, UnreachableError

_PAUSE_SECONDS = 0.5
_GONE = 410


@dataclass(frozen=True)
class Collection:
    """What to follow."""

    path: str
    field_selector: str = ""


@dataclass(frozen=True)
class Change:
    """An object as it is now; `deleted` if it has gone."""

    collection: Collection
    manifest: Object
    deleted: bool = False


@dataclass(frozen=True)
class Listed:
    """All that the collection held at first has been seen."""

    collection: Collection


Event = Change | Listed | Exception


@contextmanager
def follow(api: Api, *collections: Collection) -> Iterator[queue.Queue[Event]]:
    """Follow the collections in the block. An exception in the queue ends one of them."""
    changes: queue.Queue[Event] = queue.Queue()
    end = threading.Event()
    for collection in collections:
        arguments = (api, collection, changes, end)
        threading.Thread(target=_feed, args=arguments, daemon=True).start()
    try:
        yield changes
    finally:
        end.set()


def _feed(
    api: Api,
    collection: Collection,
    changes: queue.Queue[Event],
    end: threading.Event,
) -> None:
    """List and watch, again and again; outages are waited out (the reader has the time limit)."""
    while not end.is_set():
        try:
            for change in _list_and_watch(api, collection):
                changes.put(change)
                if end.is_set():
                    return
        except UnreachableError:
            pass
        except ApiError as error:
            if error.status != _GONE and error.status < 500:
                changes.put(error)
                return
        except Exception as error:
            # A thread's error must reach the reader.
            changes.put(error)
            return
        end.wait(_PAUSE_SECONDS)


def _list_and_watch(api: Api, collection: Collection) -> Iterator[Change | Listed]:
    selector = {"fieldSelector": collection.field_selector} if collection.field_selector else {}
    listed = api.get(collection.path, **selector)
    for manifest in listed["items"]:
        yield Change(collection, manifest)
    yield Listed(collection)
    version = listed["metadata"]["resourceVersion"]
    while True:
        for event in api.watch(collection.path, resourceVersion=version, **selector):
            manifest = event["object"]
            if event["type"] == "ERROR":
                raise ApiError(manifest.get("code", 500), manifest.get("message", ""))
            version = manifest["metadata"]["resourceVersion"]
            yield Change(collection, manifest, deleted=event["type"] == "DELETED")
        # A server or proxy that ends each watch at once must not be asked in a tight loop.
        time.sleep(_PAUSE_SECONDS / 5)
