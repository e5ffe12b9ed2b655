"""The JSON schema of the settings model, in the forms in which its values are written.

docs/schema.py makes the schema for editors of it, schema.py the one of the component package.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kube_nodes.model.declaration import Declaration
from kube_nodes.model.labels import Taint
from kube_nodes.model.share import Share
from kube_nodes.model.values import Between, OneOf
from kube_nodes.model.versions import KubernetesVersion
from kube_nodes.settings import Settings

DEFINITIONS = "#/definitions/"
# What is written as one text, or a number.
_WRITTEN: dict[type, JsonSchemaValue] = {
    KubernetesVersion: {"type": "string", "pattern": r"^v?1\.\d+\.\d+$"},
    Taint: {
        "type": "string",
        "pattern": r"^[^=:]+(=[^:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$",
    },
    Share: {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 10000},
            {"type": "string", "pattern": "^(0|[1-9][0-9]*)%?$"},
        ]
    },
}
# The forms of texts that can be told exactly; by their check in model/.
_FORMS: dict[str, JsonSchemaValue] = {
    "_counter": {"minimum": 0, "maximum": 1000000},
    "check_dns_label": {"pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
    "check_server": {"pattern": "^https://"},
    "check_sha256": {"pattern": "^[0-9a-f]{64}$"},
    "check_sha512": {"pattern": "^[0-9a-f]{128}$"},
    "check_uid": {"pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
}


class _Generator(GenerateJsonSchema):
    """Knows this project's checks, and the types that are written as texts."""

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        written = _WRITTEN.get(schema["cls"])
        return dict(written) if written else super().dataclass_schema(schema)

    def function_after_schema(
        self, schema: core_schema.AfterValidatorFunctionSchema
    ) -> JsonSchemaValue:
        inner = super().function_after_schema(schema)
        check: Any = schema["function"]["function"]
        if isinstance(check, Between):
            return {**inner, "minimum": check.least, "maximum": check.most}
        if isinstance(check, OneOf):
            return {**inner, "enum": list(check.names)}
        return {**inner, **_FORMS.get(getattr(check, "__name__", ""), {})}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        names = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        result = super().dict_schema(schema)
        result.pop("patternProperties", None)
        result["additionalProperties"] = (
            self.generate_inner(schema["values_schema"]) if "values_schema" in schema else True
        )
        if set(names) - {"type"}:
            result["propertyNames"] = names
        return result

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        if default is None or isinstance(default, Declaration):
            # Those of the keys inside stand there.
            return self.generate_inner(schema["schema"])
        if isinstance(default, tuple(_WRITTEN)):
            text = str(default).removeprefix("v")
            return {**self.generate_inner(schema["schema"]), "default": text}
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def settings_schema() -> dict[str, Any]:
    """Build the schema of Settings; what it refers to is in its `$defs`."""
    return Settings.model_json_schema(
        by_alias=True, ref_template=f"{DEFINITIONS}{{model}}", schema_generator=_Generator
    )
