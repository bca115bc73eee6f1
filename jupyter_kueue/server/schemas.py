"""JSON Schemas of what the routes take and answer, made from the types that are declared once.

Each type's name is its schema's name. What a user sends may be null wherever it has a default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from jupyter_kueue.domain.request_changes import RunChanges, RunNow, ScheduleChanges
from jupyter_kueue.domain.run_request import RunRequest
from jupyter_kueue.domain.run_update import RunUpdate
from jupyter_kueue.domain.schedule_request import ScheduleRequest
from jupyter_kueue.domain.sentence_parts import Sentence
from jupyter_kueue.server import models
from jupyter_kueue.server.query import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Schema = dict[str, Any]

# Null stands for the default in these.
_WITH_DEFAULTS = (RunRequest, ScheduleRequest, RunNow)
# Each is some fields of a request.
_CHANGES: dict[type, type] = {RunChanges: RunRequest, ScheduleChanges: ScheduleRequest}
_AT_LEAST_ONE_FIELD = (RunUpdate, ScheduleChanges)
_REFERENCES = "#/components/schemas/{model}"


def reference(model: type) -> Schema:
    """Return the reference to a model's schema."""
    return {"$ref": _REFERENCES.format(model=model.__name__)}


def schemas(bodies: Iterable[type], answers: Iterable[type]) -> dict[str, Schema]:
    """Return the schemas of models, and of all that these are made of, by their names."""
    made: dict[str, Schema] = {}
    for declared in (*answers, Sentence, models.Error):
        made |= _schemas_of(declared.__name__, declared)
    made |= _schemas_of("Change", models.Change)
    # An answer has the fields that are declared, and no others.
    made = {name: _closed(schema) for name, schema in made.items()}
    for body in bodies:
        declared = _CHANGES.get(body, body)
        made |= _schemas_of(declared.__name__, declared)
    for declared in _WITH_DEFAULTS:
        if declared.__name__ in made:
            made[declared.__name__] = _with_nulls(made[declared.__name__])
    for body in bodies:
        if body in _CHANGES:
            made[body.__name__] = _part_of(made[_CHANGES[body].__name__], body)
        if body in _AT_LEAST_ONE_FIELD:
            made[body.__name__]["minProperties"] = 1
    return made


def parameters(query: type) -> list[Schema]:
    """Return the OpenAPI parameters of a query's model."""
    return [_parameter(name, schema) for name, schema in schema_of(query).items()]


def _parameter(name: str, declared: Schema) -> Schema:
    schema = _plain(declared)
    if isinstance(schema.get("type"), list):
        # Without a value it is left out, which null stands for.
        schema["type"] = schema["type"][0]
    is_required = "default" not in schema
    if schema.get("default") in (None, [], ()):
        schema.pop("default", None)
    description = schema.pop("description", None)
    return {
        "name": name,
        "in": "query",
        **({"required": True} if is_required else {}),
        **({"description": description} if description else {}),
        "schema": schema,
    }


def _schemas_of(name: str, declared: Any) -> dict[str, Schema]:
    schema = TypeAdapter(declared).json_schema(ref_template=_REFERENCES)
    made = {part: _plain(found) for part, found in schema.pop("$defs", {}).items()}
    # Of a recursive type, pydantic returns a reference to it among the others.
    return made if name in made else {**made, name: _plain(schema)}


def _closed(schema: Schema) -> Schema:
    return {"additionalProperties": False, **schema} if "properties" in schema else schema


def _part_of(request: Schema, changes: type) -> Schema:
    kept = {key: value for key, value in request.items() if key != "required"}
    description = (changes.__doc__ or "").partition("\n\n    Attributes:")[0]
    return {**kept, "description": " ".join(description.split())}


def _with_nulls(schema: Schema) -> Schema:
    required = schema.get("required", ())
    fields = {
        name: field if name in required else _nullable(field)
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": fields}


def _nullable(field: Schema) -> Schema:
    if "anyOf" in field or "null" in field.get("type", ()):
        return field
    if "enum" in field:
        return {**field, "type": ["string", "null"], "enum": [*field["enum"], None]}
    if "type" in field:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        return {**field, "type": [*kinds, "null"]}
    return {"anyOf": [field, {"type": "null"}]}


def _plain(schema: Any) -> Any:
    """Return a schema without generated titles, and with ``null`` among the types of a value."""
    if isinstance(schema, list | tuple):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: {name: _plain(field) for name, field in value.items()}
        if key == "properties"
        else _plain(value)
        for key, value in schema.items()
        if key != "title"
    }
    if "x-schema" in plain:
        # Pydantic resolves a "$ref" itself, and knows no other schemas than its own.
        plain["$ref"] = _REFERENCES.format(model=plain.pop("x-schema"))
    options = plain.get("anyOf", ())
    if options and all(_is_simple(option) for option in options):
        kinds = [option["type"] for option in options]
        bounds = [option for option in options if len(option) > 1]
        if len(bounds) <= 1:
            del plain["anyOf"]
            plain = {**(bounds[0] if bounds else {}), **plain, "type": _types(kinds)}
    return plain


def _is_simple(schema: Schema) -> bool:
    return isinstance(schema.get("type"), str) and "enum" not in schema


def _types(kinds: list[str]) -> str | list[str]:
    # A whole number is a number, too.
    kept = [kind for kind in kinds if not (kind == "integer" and "number" in kinds)]
    return kept[0] if len(kept) == 1 else kept
