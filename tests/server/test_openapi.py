"""The OpenAPI document says what the code does, and the other way round."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import (
    errors,
    field_types,
    run_query,
    run_request,
    run_row,
    schedule_query,
    schedule_request,
)
from jupyter_kueue.server.routes import ROUTES, document, handlers

if TYPE_CHECKING:
    from .conftest import Server

PAGE = Path(__file__).parents[2] / "docs" / "rest.md"
VERBS = ("get", "head", "post", "patch", "put", "delete")
SCHEMAS = document()["components"]["schemas"]


def test_every_route_and_verb_is_described_and_answered():
    patterns = handlers()
    answered = {
        (path, verb)
        for path in document()["paths"]
        for verb in VERBS
        for pattern, handler in patterns[:-1]
        if re.fullmatch(pattern, "/jupyter-kueue" + re.sub(r"\{\w+\}", "x", path))
        and getattr(handler, verb).__module__.startswith("jupyter_kueue")
    }
    described = {
        (path, verb) for path, item in document()["paths"].items() for verb in item if verb in VERBS
    }
    assert described == answered
    assert described == {(f"/{route.path}", route.verb.lower()) for route in ROUTES}


def test_the_page_for_readers_lists_the_same_routes_and_verbs():
    rows = re.findall(r"^\| `([^`]+)` \| ([A-Z, ]+) \|", PAGE.read_text(), re.MULTILINE)
    listed = {(f"/{path}", verb.lower()) for path, verbs in rows for verb in verbs.split(", ")}
    described = {
        (path, verb) for path, item in document()["paths"].items() for verb in item if verb in VERBS
    }
    assert listed == described


def test_the_page_for_readers_lists_every_field_of_a_request():
    submit = PAGE.read_text().partition("## Submit")[2].partition("\n## ")[0]
    for item in dataclasses.fields(run_request.RunRequest):
        assert f"`{item.name}`" in submit, item.name


def test_the_page_for_readers_lists_every_reason_of_an_error():
    page = PAGE.read_text().partition("## Errors")[2].partition("\n## ")[0]
    for error in vars(errors).values():
        is_answered = isinstance(error, type) and getattr(error, "status", 500) != 500
        if is_answered:
            assert f"| {error.status} |" in page, error
            assert f"`{error.reason}`" in page, error


def test_each_route_has_a_pattern_that_takes_no_more_than_it_should():
    patterns = [pattern for pattern, _ in handlers()]
    assert "/jupyter-kueue/runs/([^/]+)" in patterns
    assert "/jupyter-kueue/runs/([^/]+)/files/(.+)" in patterns
    assert r"/jupyter-kueue/openapi\.json" in patterns
    assert len(patterns) == len(set(patterns))


def test_operations_have_different_ids():
    ids = [
        item[verb]["operationId"]
        for item in document()["paths"].values()
        for verb in VERBS
        if verb in item
    ]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere():
    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [found for item in value.values() for found in references(item)]
        if isinstance(value, list):
            return [found for item in value for found in references(item)]
        return []

    for reference in references(document()):
        place = document()
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_schema_is_one():
    for name, schema in SCHEMAS.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert {"type", "anyOf", "oneOf"} & set(schema), name


def test_the_request_has_the_fields_of_the_code():
    fields = {item.name: item for item in dataclasses.fields(run_request.RunRequest)}
    described = SCHEMAS["RunRequest"]["properties"]
    assert set(described) == set(fields)
    assert set(SCHEMAS["RunChanges"]["properties"]) == set(fields)
    for name, item in fields.items():
        if "default" in described[name]:
            default = item.default
            expected = list(default) if isinstance(default, tuple) else default
            assert described[name]["default"] == expected


def test_a_schedule_has_the_fields_of_the_code():
    fields = {item.name: item for item in dataclasses.fields(schedule_request.ScheduleRequest)}
    described = SCHEMAS["ScheduleRequest"]["properties"]
    assert set(described) == set(SCHEMAS["ScheduleChanges"]["properties"]) == set(fields)
    for name, item in fields.items():
        if "default" in described[name] and not isinstance(item.default, tuple):
            assert described[name]["default"] == item.default
    policies = {*described["concurrency_policy"]["enum"]} - {None}
    assert policies == set(field_types.CONCURRENCY_POLICIES)
    assert described["max_runs"]["maximum"] == field_types.MAX_RUNS
    page = PAGE.read_text().partition("## Schedules")[2].partition("\n## ")[0]
    own = set(fields) - {item.name for item in dataclasses.fields(run_request.RunRequest)}
    for name in own:
        assert f"| `{name}` |" in page, name
    parameters = document()["paths"]["/schedules"]["get"]["parameters"]
    [sort] = [item for item in parameters if item["name"] == "sort"]
    both_ways = {prefix + name for prefix in ("", "-") for name in schedule_query.SORT_FIELDS}
    assert set(sort["schema"]["enum"]) == both_ways


def test_bounds_are_those_of_the_code():
    request = SCHEMAS["RunRequest"]["properties"]
    assert SCHEMAS["Resources"]["properties"]["gpus"]["maximum"] == field_types.MAX_GPUS
    assert request["name"]["maxLength"] == field_types.MAX_NAME_LENGTH
    assert request["tags"]["maxItems"] == field_types.MAX_TAGS
    assert request["max_retries"]["maximum"] == field_types.MAX_RETRIES


def test_states_roles_and_sort_fields_are_those_of_the_code():
    parameters = document()["paths"]["/runs"]["get"]["parameters"]
    [state] = [item for item in parameters if item["name"] == "state"]
    assert state["schema"]["items"]["enum"] == list(run_row.STATES)
    roles = {getattr(pod_contract, name) for name in dir(pod_contract) if name.startswith("ROLE_")}
    assert set(SCHEMAS["RunFile"]["properties"]["role"]["enum"]) == roles
    parameters = document()["paths"]["/runs"]["get"]["parameters"]
    [sort] = [item for item in parameters if item["name"] == "sort"]
    both_ways = {prefix + name for prefix in ("", "-") for name in run_query.SORT_FIELDS}
    assert set(sort["schema"]["enum"]) == both_ways


def test_a_request_that_the_schema_allows_is_understood():
    body = {
        "input_path": "a.ipynb",
        "name": "Ünïcode / <b>😀",
        "local_queue": "team-a",
        "resources": {"cpu": "500m", "memory": "1Gi", "gpus": 1},
        "parameters": {"alpha": 0.1, "names": ["a", None]},
        "output_formats": ["ipynb", "html"],
        "include_folder": True,
        "timeout_seconds": 60,
        "tags": ["a"],
        "priority_class": None,
    }
    validate(body, "RunRequest")
    assert run_request.parse_run_request(body).resources == run_request.Resources("500m", "1Gi", 1)


@pytest.mark.parametrize("body", [{}, {"input_path": 1}, {"input_path": "a", "colour": "red"}])
def test_what_the_schema_refuses_the_code_refuses(body: dict[str, object]):
    with pytest.raises(jsonschema.ValidationError):
        validate(body, "RunRequest")
    with pytest.raises(errors.InvalidRequestError):
        run_request.parse_run_request(body)


def test_the_server_sends_it(unconnected: Server):
    sent = unconnected.request("GET", "openapi.json").json
    assert sent["servers"] == [{"url": "/jupyter-kueue"}]
    assert sent["paths"] == document()["paths"]
    validate(unconnected.request("GET", "health").json, "Health")
    validate(unconnected.request("GET", "runs").json, "Error")


def validate(value: object, name: str) -> None:
    """Check ``value`` against the component ``name`` of the document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(value)
