"""RandomString and RandomPassword: their attributes, and how a result is drawn."""

import secrets
import string
from typing import Any

from lab.plugins.bridged import Attribute, ResourceType, Values, never

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_CLASSES = ("upper", "lower", "numeric", "special")


def _keepers_differ(old: Any, new: Any) -> bool:
    """Replace unless both are empty: none and {} differ, and that is an update only."""
    return (old or {}) != (new or {})


def _override_differs(old: Any, new: Any) -> bool:
    """Replace, except where an empty string is taken away."""
    return not (old == "" and new is None)


def _flag(default: bool | None) -> Attribute:
    return Attribute(kind=bool, default=default)


def _attributes(*, sensitive: bool) -> dict[str, Attribute]:
    # The official password also has bcryptHash, which this project does not use and whose
    # making would take longer than all the rest.
    minimum = Attribute(kind=int, default=0)
    return {
        "keepers": Attribute(kind=dict, replaces=_keepers_differ),
        "length": Attribute(kind=int, required=True, at_least=1),
        "special": _flag(True),
        "upper": _flag(True),
        "lower": _flag(True),
        "number": _flag(None),
        "numeric": _flag(None),
        "minNumeric": minimum,
        "minUpper": minimum,
        "minLower": minimum,
        "minSpecial": minimum,
        "overrideSpecial": Attribute(replaces=_override_differs),
        "result": Attribute(made=True, secret=sensitive, replaces=never),
    }


def _check(inputs: Values) -> list[tuple[str, str]]:
    """Hold the rules over several inputs; one that is not known yet is left out of them."""
    found = []
    known = {name: value for name, value in inputs.items() if isinstance(value, (bool, int))}
    least = sum(known.get(f"min{name.capitalize()}", 0) for name in _CLASSES)
    if known.get("length", least) < least:
        found.append(("length", f"must be at least {least}, the sum of the min… inputs"))
    number, numeric = known.get("number"), known.get("numeric")
    if None not in (number, numeric) and number != numeric:
        found.append(("number", "is not the same as numeric; give numeric only"))
    classes = {"upper", "lower", "special"} & known.keys()
    none = len(classes) == 3 and not any(known[name] for name in classes)
    if none and False in (number, numeric):
        found.append(("numeric", "must be true where upper, lower and special are false"))
    return found


def _complete(plan: Values) -> Values:
    """Give `number` (deprecated) and `numeric` one value: theirs, or true."""
    given = [plan[name] for name in ("number", "numeric") if plan[name] is not None]
    value = given[0] if given else True
    return plan | {"number": value, "numeric": value}


def draw(plan: Values) -> str:
    """Draw a result: first the minimum of each class, then from all of them, then shuffled.

    Raises:
        ValueError: if no class of characters is wanted.
    """
    alphabet = {
        "upper": string.ascii_uppercase,
        "lower": string.ascii_lowercase,
        "numeric": string.digits,
        "special": plan["overrideSpecial"] or SPECIAL,
    }
    allowed = "".join(alphabet[name] for name in _CLASSES if plan[name])
    if not allowed:
        raise ValueError("the character set specified is empty; set one of upper, lower, …")
    drawn = [
        secrets.choice(alphabet[name])
        for name in _CLASSES
        for _ in range(plan[f"min{name.capitalize()}"])
    ]
    drawn += [secrets.choice(allowed) for _ in range(plan["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def _make_string(plan: Values) -> Values:
    result = draw(plan)
    return {"id": result, "result": result}


def _make_password(plan: Values) -> Values:
    # An id is shown to everybody: never the result.
    return {"id": "none", "result": draw(plan)}


TYPES = {
    "random:index/randomString:RandomString": ResourceType(
        schema_version=2,
        attributes=_attributes(sensitive=False),
        check=_check,
        complete=_complete,
        make=_make_string,
    ),
    "random:index/randomPassword:RandomPassword": ResourceType(
        schema_version=3,
        attributes=_attributes(sensitive=True),
        check=_check,
        complete=_complete,
        make=_make_password,
    ),
}
