"""The random stand-in, asked over its gRPC interface.

Sources: terraform-provider-random, internal/provider/resource_string.go and resource_password.go
(their schemas, version 3), internal/random/string.go; pulumi-random, provider/resources.go and the
calls recorded in provider/testdata/recorded/TestProviderUpgrade.
"""

import string
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from lab.plugins.values import UNKNOWN, Secret, reveal, to_struct
from tests.plugins.driver import Driver

STRING = "urn:pulumi:dev::p::pkg:index:Owner$random:index/randomString:RandomString::id"
PASSWORD = "urn:pulumi:dev::p::random:index/randomPassword:RandomPassword::secret"


@pytest.fixture(scope="module")
def plugin() -> Iterator[Driver]:
    with Driver("lab.plugins.random") as driver:
        yield driver


def diff_after(plugin: Driver, old: dict[str, Any], new: dict[str, Any], urn: str = STRING) -> Any:
    _, state = plugin.create(urn, old)
    return plugin.diff(urn, reveal(state), old, new)


def test_a_string_is_its_own_id_and_not_secret(plugin: Driver) -> None:
    """resource_string.go, Create: id and result are the same plain text."""
    id_, state = plugin.create(STRING, {"length": 6, "special": False, "upper": False})

    assert state["result"] == state["id"] == id_
    assert len(id_) == 6
    assert set(id_) <= set(string.ascii_lowercase + string.digits)


def test_a_password_is_secret_and_its_id_says_nothing(plugin: Driver) -> None:
    """resource_password.go, Create and Schema: id is "none", result is sensitive."""
    id_, state = plugin.create(PASSWORD, {"length": 16, "special": False, "upper": False})

    assert id_ == state["id"] == "none"
    assert isinstance(state["result"], Secret)
    result = state["result"].value
    assert len(result) == 16
    assert set(result) <= set(string.ascii_lowercase + string.digits)


def test_defaults_are_in_the_outputs_and_not_in_the_checked_inputs(plugin: Driver) -> None:
    """Recorded calls: Check returns the inputs as they are, Create fills in the defaults."""
    assert plugin.check(STRING, {"length": 8}) == {"length": 8}

    _, state = plugin.create(STRING, {"length": 8})

    expected: dict[str, Any] = {
        "special": True,
        "upper": True,
        "lower": True,
        "number": True,
        "numeric": True,
    }
    expected |= dict.fromkeys(("minNumeric", "minUpper", "minLower", "minSpecial"), 0)
    assert {name: state.get(name) for name in expected} == expected
    assert "keepers" not in state
    assert "overrideSpecial" not in state


def test_two_results_differ(plugin: Driver) -> None:
    drawn = {plugin.create(STRING, {"length": 32})[0] for _ in range(5)}

    assert len(drawn) == 5


def test_each_minimum_is_kept(plugin: Driver) -> None:
    """internal/random/string.go: at least that many of each class, and the length exactly."""
    least = {"minUpper": 2, "minLower": 3, "minNumeric": 4, "minSpecial": 5}

    id_, _ = plugin.create(STRING, {"length": 14, **least})

    counts = [sum(map(test, id_)) for test in (str.isupper, str.islower, str.isdigit)]
    assert [*counts, len(id_) - sum(counts)] == [2, 3, 4, 5]


def test_a_hexadecimal_secret_can_be_drawn(plugin: Driver) -> None:
    """The project's static token: overrideSpecial takes the place of the special characters."""
    inputs = {"length": 200, "upper": False, "lower": False, "overrideSpecial": "abcdef"}

    _, state = plugin.create(PASSWORD, inputs)

    assert set(state["result"].value) == set("0123456789abcdef")


@pytest.mark.parametrize("given", ["number", "numeric"])
def test_number_and_numeric_are_one_setting(plugin: Driver, given: str) -> None:
    """internal/planmodifiers/bool: whichever is given is the value of both."""
    id_, state = plugin.create(STRING, {"length": 64, given: False})

    assert state["number"] is state["numeric"] is False
    assert not set(id_) & set(string.digits)


def test_the_same_inputs_are_no_change(plugin: Driver) -> None:
    inputs = {"length": 6, "keepers": {"generation": "1"}}

    diff = diff_after(plugin, inputs, inputs)

    assert diff.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert not diff.replaces


def test_a_default_written_out_is_no_change(plugin: Driver) -> None:
    """pulumi-terraform-bridge, pkg/pf/tfbridge/provider_diff.go: state and plan are compared."""
    diff = diff_after(plugin, {"length": 6}, {"length": 6, "special": True, "minLower": 0})

    assert diff.changes == provider_pb2.DiffResponse.DIFF_NONE


@pytest.mark.parametrize("urn", [STRING, PASSWORD])
@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("length", 7),
        ("special", False),
        ("upper", False),
        ("lower", False),
        ("numeric", False),
        ("minNumeric", 1),
        ("minUpper", 1),
        ("minLower", 1),
        ("minSpecial", 1),
        ("overrideSpecial", "_"),
        ("keepers", {"generation": "2"}),
        ("keepers", {"generation": "1", "more": "x"}),
        ("keepers", {}),
        ("keepers", UNKNOWN),
    ],
)
def test_a_changed_input_replaces(plugin: Driver, urn: str, name: str, new: Any) -> None:
    """Schemas: RequiresReplace on every input; without deleteBeforeReplace in the bridge's info."""
    old = {"length": 6, "keepers": {"generation": "1"}}

    diff = diff_after(plugin, old, {**old, name: new}, urn)

    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert name in diff.replaces
    assert not diff.deleteBeforeReplace


def test_the_changed_keeper_is_what_a_preview_shows(plugin: Driver) -> None:
    old, new = ({"length": 6, "keepers": {"generation": one}} for one in ("1", "2"))

    diff = diff_after(plugin, old, new)

    kinds = provider_pb2.PropertyDiff.Kind
    shown = {path: kinds.Name(one.kind) for path, one in diff.detailedDiff.items()}
    assert shown == {"keepers.generation": "UPDATE_REPLACE"}


@pytest.mark.parametrize(
    ("old", "new"),
    [({}, {"keepers": {}}), ({"overrideSpecial": ""}, {})],
    ids=["no keepers", "no special characters of one's own"],
)
def test_nothing_written_differently_is_an_update(
    plugin: Driver, old: dict[str, Any], new: dict[str, Any]
) -> None:
    """internal/planmodifiers/map and string: such a change never draws anew."""
    inputs = {"length": 6, **new}
    id_, state = plugin.create(STRING, {"length": 6, **old})

    diff = plugin.diff(STRING, state, {}, inputs)
    updated = plugin.update(STRING, id_, state, {}, inputs)

    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert not diff.replaces
    assert updated["result"] == state["result"]


def test_a_preview_knows_all_but_the_result(plugin: Driver) -> None:
    """provider_create.go of the bridge: with preview, the planned state."""
    id_, state = plugin.create(PASSWORD, {"length": 6}, preview=True)

    assert id_ == ""
    assert state["result"] == Secret(UNKNOWN)
    assert state["length"] == 6
    assert state["special"] is True


def test_reading_gives_back_what_is_recorded(plugin: Driver) -> None:
    """resource_password.go, Read: does nothing, so a refresh shows no change."""
    inputs = {"length": 6, "keepers": {"generation": "1"}}
    id_, state = plugin.create(PASSWORD, inputs)

    assert plugin.read(PASSWORD, id_, reveal(state), inputs) == (id_, state, inputs)


@pytest.mark.parametrize(
    ("inputs", "property_", "reason"),
    [
        ({}, "length", "is required"),
        ({"length": 0}, "length", "must be at least 1, got 0"),
        ({"length": 3, "minLower": 2, "minUpper": 2}, "length", "must be at least 4"),
        ({"length": "six"}, "length", "must be of type int"),
        ({"length": True}, "length", "must be of type int"),
        ({"length": 6, "number": True, "numeric": False}, "number", "is not the same as numeric"),
        (
            {"length": 6, "upper": False, "lower": False, "special": False, "numeric": False},
            "numeric",
            "must be true where",
        ),
        ({"length": 6, "result": "mine"}, "result", "is not an input"),
        ({"length": 6, "sort": True}, "sort", "is not an input"),
    ],
)
def test_wrong_inputs_are_refused(
    plugin: Driver, inputs: dict[str, Any], property_: str, reason: str
) -> None:
    """Schemas: the validators of each attribute."""
    answer = plugin.stub.Check(provider_pb2.CheckRequest(urn=STRING, news=to_struct(inputs)))

    assert [one.property for one in answer.failures] == [property_]
    assert reason in answer.failures[0].reason


def test_inputs_that_are_not_known_yet_are_accepted(plugin: Driver) -> None:
    inputs = {"length": UNKNOWN, "keepers": {"generation": UNKNOWN}, "minLower": UNKNOWN}

    assert plugin.check(STRING, inputs) == inputs


def test_another_resource_type_is_refused_by_name(plugin: Driver) -> None:
    with pytest.raises(Exception, match=r"random:index/randomPet:RandomPet: .* has only random:"):
        plugin.create("urn:pulumi:dev::p::random:index/randomPet:RandomPet::pet", {})
