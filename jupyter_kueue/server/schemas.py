"""JSON Schemas of what the routes take and answer, made from the types that are declared once.

Each type's name is its schema's name. What a user sends may be null wherever it has a default.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from jupyter_kueue.domain.run_request import RunRequest
from jupyter_kueue.domain.run_row import Run, RunFile, RunRow
from jupyter_kueue.domain.run_update import RunUpdate
from jupyter_kueue.domain.schedule_request import ScheduleRequest
from jupyter_kueue.domain.schedule_row import ScheduleRow

Schema = dict[str, Any]

_SENT = (RunRequest, ScheduleRequest)
_ANSWERED = (RunRow, Run, RunFile, ScheduleRow)
_REFERENCES = "#/components/schemas/{model}"


def schemas() -> dict[str, Schema]:
    """Return the schemas by name."""
    made: dict[str, Schema] = {}
    for declared in (*_SENT, RunUpdate, *_ANSWERED):
        schema = TypeAdapter(declared).json_schema(ref_template=_REFERENCES)
        made |= {name: _plain(part) for name, part in schema.pop("$defs", {}).items()}
        made[declared.__name__] = _plain(schema)
    for declared in _SENT:
        made[declared.__name__] = _with_nulls(made[declared.__name__])
    # A part of a request, each field of which may be left out.
    made["Rerun"] = _changes(made["RunRequest"], "Fields of the request to change.")
    made["ScheduleUpdate"] = {
        **_changes(
            made["ScheduleRequest"],
            "Fields to change; null takes one back to its default. The files stay those that were "
            "uploaded unless `input_path` or `include_folder` is given.",
        ),
        "minProperties": 1,
    }
    made["RunUpdate"]["minProperties"] = 1
    return made


def _changes(request: Schema, description: str) -> Schema:
    kept = {key: value for key, value in request.items() if key != "required"}
    return {**kept, "description": description}


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
    if isinstance(schema, list):
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
    is_simple = len(options) == 2 and options[1] == {"type": "null"}  # noqa: PLR2004 - it, or null
    if is_simple and isinstance(options[0].get("type"), str) and "enum" not in options[0]:
        del plain["anyOf"]
        plain = {**options[0], **plain, "type": [options[0]["type"], "null"]}
    return plain
