"""The policies by name; each is a rule over what is declared, in a file of its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pulumi_policy import (
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from kube_nodes.model.requests import VERSION_VARIABLE
from kube_nodes.model.secret_shapes import find_secrets
from kube_nodes.model.version_skew import check_skew, check_spread
from policy.commands import anonymous_auth, host_keys
from policy.declared import Declared, open_texts, read
from policy.objects import auto_approval, closed_tokens, cluster_admins
from policy.waves import wide_waves

Rule = Callable[[Declared], Iterable[str]]
_API_SERVER = "apiServer"
_MOST_PER_CENT = "mostPerCent"
_HALF = 50


def open_secrets(resource: Declared) -> Iterator[str]:
    """Nothing that looks like a secret is an input that previews and the state show."""
    for path, text in open_texts(resource.inputs):
        for kind in find_secrets(text):
            yield f"{path}: holds a {kind} in the open; make the input a secret"


def _policy(name: str, rule: Rule) -> ResourceValidationPolicy:
    """Make a policy of a rule; its description is the rule's first line."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = read(args)
        for violation in rule(resource):
            report(f"{resource.name}: {violation}.", None)

    return ResourceValidationPolicy(name, _first_line(rule), validate)


def supported_versions(args: StackValidationArgs, report: ReportViolation) -> None:
    """Some API server supports all kubelets at once; with `apiServer`, this one does."""
    found: dict[str, str] = {}
    for resource in map(read, args.resources):
        version = resource.get("environment", VERSION_VARIABLE)
        if resource.type == "command:local:Command" and isinstance(version, str):
            found[resource.name.removesuffix("-membership")] = version
    for check in (_spread, _skew):
        for violation in check(found, args.get_config().get(_API_SERVER)):
            report(violation, None)


def _spread(versions: dict[str, str], _: str | None) -> Iterator[str]:
    try:
        check_spread(versions.values())
    except ValueError as error:
        yield f"{error}."


def _skew(versions: dict[str, str], api_server: str | None) -> Iterator[str]:
    if not api_server:
        return
    for node, version in sorted(versions.items()):
        try:
            check_skew(version, int(api_server.removeprefix("v").split(".")[1]))
        except ValueError as error:
            yield f"{node}: {error}."


def narrow_waves(args: StackValidationArgs, report: ReportViolation) -> None:
    """No wave is wider than `mostPerCent` of its pool, 50 by default."""
    most = int(args.get_config().get(_MOST_PER_CENT, _HALF))
    for violation in wide_waves(args.resources, most):
        report(f"{violation}.", None)


def _first_line(rule: Callable[..., object]) -> str:
    return str(rule.__doc__).partition("\n")[0]


POLICIES: list[Policy] = [
    _policy("host-keys", host_keys),
    _policy("open-secrets", open_secrets),
    _policy("closed-tokens", closed_tokens),
    _policy("auto-approval", auto_approval),
    _policy("cluster-admins", cluster_admins),
    _policy("anonymous-auth", anonymous_auth),
    StackValidationPolicy(
        "supported-versions",
        _first_line(supported_versions),
        supported_versions,
        config_schema=PolicyConfigSchema(
            {_API_SERVER: {"type": "string", "pattern": r"^v?1\.[0-9]+(\.[0-9]+)?$"}}
        ),
    ),
    StackValidationPolicy(
        "narrow-waves",
        _first_line(narrow_waves),
        narrow_waves,
        config_schema=PolicyConfigSchema(
            {_MOST_PER_CENT: {"type": "integer", "minimum": 1, "maximum": 100}}
        ),
    ),
]
