"""A request is read, or refused naming each wrong field; a record survives being stored."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.domain import errors, field_types, run_request, times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest

HALF_A_CHARACTER = "\ud83d"


def parse(**fields: Any) -> RunRequest:
    return run_request.parse_run_request({"input_path": "a.ipynb", **fields})


def refusal_of(body: Any) -> dict[str, str]:
    """Return what is said about each field of a body that must be refused."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        run_request.parse_run_request(body)
    assert caught.value.status == 422
    assert all(caught.value.fields.values())
    return caught.value.fields


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_path_alone_is_enough() -> None:
    assert parse() == RunRequest("a.ipynb")


def test_every_field_is_read() -> None:
    request = parse(
        name="Weekly",
        local_queue="team-a",
        resources={"cpu": "500m", "memory": "4Gi", "gpus": 1},
        environment="science",
        kernel_name="ir",
        parameters={"alpha": 0.1, "names": ["a", None, True, {"é": "😀"}]},
        output_formats=["html", "ipynb", "html"],
        include_folder=True,
        priority_class="high.prio",
        timeout_seconds=60,
        cell_timeout_seconds=30,
        max_retries=2,
        tags=["a", "b"],
        idempotency_key="nightly 7",
    )
    assert request == RunRequest(
        input_path="a.ipynb",
        name="Weekly",
        local_queue="team-a",
        resources=Resources("500m", "4Gi", 1),
        environment="science",
        kernel_name="ir",
        parameters={"alpha": 0.1, "names": ["a", None, True, {"é": "😀"}]},
        output_formats=("html", "ipynb"),
        include_folder=True,
        priority_class="high.prio",
        timeout_seconds=60,
        cell_timeout_seconds=30,
        max_retries=2,
        tags=("a", "b"),
        idempotency_key="nightly 7",
    )
    assert run_request.parse_run_request(request.as_json()) == request


def test_null_stands_for_the_default() -> None:
    names = RunRequest.__dataclass_fields__.keys() - {"input_path"}
    assert parse(**dict.fromkeys(names)) == RunRequest("a.ipynb")


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "😀 👩‍👩‍👧‍👦",
        "reports/weekly 1/2",
        "' OR 1=1 --",
        "${HOME} $(ls) {{ 7 * 7 }}",
        "مرحبا",
        "n",
        "x" * 255,
        "  spaced  ",
    ],
)
def test_a_name_is_free_text_and_kept_as_it_is(name: str) -> None:
    assert parse(name=name).name == name
    assert parse(tags=[name]).tags == (name,)


# Each row: one field, a wrong value, and words that tell the user what to do about it.
_WRONG = [
    ("input_path", None, "is required"),
    ("input_path", "", "path inside the server's root"),
    ("input_path", 7, "must be text, not a number"),
    ("input_path", "a\0.ipynb", "a NUL character"),
    ("input_path", "a" * 5000, "path inside the server's root"),
    ("input_path", f"{HALF_A_CHARACTER}.ipynb", "half a character"),
    ("name", "n" * 10_000, "1 to 255 characters, not only blanks (it has 10000"),
    ("name", "one\ntwo", "a single line without control characters"),
    ("name", "bell\a", "a single line without control characters"),
    ("name", "one\u2028two", "a single line without control characters"),
    ("name", "", "1 to 255 characters"),
    ("name", "   ", "1 to 255 characters"),
    ("name", HALF_A_CHARACTER, "half a character"),
    ("name", 7, "must be text, not a number"),
    ("name", ["a"], "must be text, not a list"),
    ("local_queue", "Team A", "lower-case letters, digits and -"),
    ("local_queue", "team/a", "lower-case letters, digits and -"),
    ("local_queue", "../default", "lower-case letters, digits and -"),
    ("local_queue", "q" * 64, "lower-case letters, digits and -"),
    ("local_queue", True, "must be text, not true or false"),
    ("profile", {}, "must be text, not an object"),
    ("profile", "", "1 to 255 characters"),
    ("resources", "2Gi", 'such as {"cpu": "2", "memory": "4Gi", "gpus": 1}'),
    ("resources", [], 'such as {"cpu": "2", "memory": "4Gi", "gpus": 1}'),
    ("environment", 3.5, "must be text, not a number"),
    ("kernel_name", "a\nb", "single line"),
    ("parameters", [1], 'must be an object such as {"alpha": 0.1}'),
    ("parameters", "alpha=1", 'must be an object such as {"alpha": 0.1}'),
    ("parameters", {"a": "x" * (1 << 20)}, "Put large data into a file"),
    ("output_formats", [], "at least one format"),
    ("output_formats", "ipynb", "must be a list"),
    ("output_formats", ["ipynb", 7], "'7' is not a valid format"),
    ("output_formats", ["../x"], "'../x' is not a valid format"),
    ("output_formats", [HALF_A_CHARACTER], "is not a valid format"),
    ("include_folder", "yes", "must be true or false, not 'yes'"),
    ("include_folder", 1, "must be true or false, not '1'"),
    ("priority_class", "High", "is not a valid name in the cluster"),
    ("priority_class", "", "is not a valid name in the cluster"),
    ("timeout_seconds", 0, "must be between 1 and"),
    ("timeout_seconds", -5, "must be between 1 and"),
    ("timeout_seconds", 10**12, "must be between 1 and"),
    ("timeout_seconds", 1.5, "must be a whole number"),
    ("timeout_seconds", "60", "must be a whole number"),
    ("cell_timeout_seconds", True, "must be a whole number"),
    ("max_retries", -1, "must be between 0 and 100"),
    ("max_retries", 101, "must be between 0 and 100"),
    ("max_retries", float("nan"), "must be a whole number"),
    ("tags", "a,b", "must be a list of at most 50"),
    ("tags", ["t"] * 51, "must be a list of at most 50"),
    ("tags", [""], "1 to 255 characters"),
    ("tags", [None], "must be text, not null"),
    ("idempotency_key", 7, "must be text, not a number"),
    ("idempotency_key", "k" * 256, "1 to 255 characters"),
]


@pytest.mark.parametrize(
    ("field", "value", "words"), _WRONG, ids=[f"{row[0]}-{row[1]!r:.30}" for row in _WRONG]
)
def test_a_wrong_field_is_named_with_what_to_do(field: str, value: Any, words: str) -> None:
    said = refusal_of({"input_path": "a.ipynb", field: value})
    assert list(said) == [field]
    assert words in said[field]
    assert len(said[field]) < 300


_WRONG_RESOURCES = [
    ("gpus", -1, "must be between 0 and 1024, not -1"),
    ("gpus", 10**9, "must be between 0 and 1024, not 1000000000"),
    ("gpus", 10**4000, "must be between 0 and 1024"),
    ("gpus", "two", "must be a whole number from 0 to 1024, not 'two'"),
    ("gpus", "2", "must be a whole number from 0 to 1024, not '2'"),
    ("gpus", True, "must be a whole number from 0 to 1024, not 'True'"),
    ("gpus", 1.5, "must be a whole number from 0 to 1024, not '1.5'"),
    ("gpus", [1], "must be a whole number"),
    ("cpu", 0, "must be between 0.001 and 1024 CPUs, not 0"),
    ("cpu", "-2", "must be between 0.001 and 1024 CPUs"),
    ("cpu", "1025", "must be between 0.001 and 1024 CPUs"),
    ("cpu", "many", "use for example 2, 500m or 4Gi"),
    ("cpu", True, "must be an amount such as 2, 500m or 4Gi, not true or false"),
    ("cpu", float("inf"), "use for example"),
    ("cpu", float("nan"), "use for example"),
    ("cpu", {"count": 2}, "must be an amount such as 2, 500m or 4Gi, not an object"),
    ("memory", "4GB", "use for example 2, 500m or 4Gi"),
    ("memory", "1", "must be between 1 MiB and 1 PiB"),
    ("memory", "2Pi", "must be between 1 MiB and 1 PiB"),
    ("memory", "", "use for example"),
    ("tpu", 1, "use cpu, memory or gpus"),
]


@pytest.mark.parametrize(
    ("resource", "amount", "words"),
    _WRONG_RESOURCES,
    ids=[f"{row[0]}-{row[1]!r:.30}" for row in _WRONG_RESOURCES[:2]]
    + [f"{row[0]}-{number}" for number, row in enumerate(_WRONG_RESOURCES[2:])],
)
def test_a_wrong_amount_is_named_with_its_bounds(resource: str, amount: Any, words: str) -> None:
    said = refusal_of({"input_path": "a.ipynb", "resources": {resource: amount}})
    assert list(said) == [f"resources.{resource}"]
    assert words in said[f"resources.{resource}"]
    assert len(said[f"resources.{resource}"]) < 300


def test_amounts_may_be_numbers_and_are_stored_as_the_cluster_writes_them() -> None:
    assert parse(resources={"cpu": 2}).resources == Resources("2", "2Gi", 0)
    assert parse(resources={"cpu": 0.5, "gpus": 0}).resources == Resources("0.5", "2Gi", 0)
    assert parse(resources={"memory": 2**30}).resources == Resources("1", str(2**30), 0)
    assert parse(resources={"memory": None}).resources == Resources()


def test_more_gpus_than_any_team_has_are_accepted_here() -> None:
    request = parse(resources={"gpus": 1024})
    assert request.resources == Resources(gpus=1024)


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    said = refusal_of({"input_path": "a.ipynb", "resurces": {}})
    assert list(said) == ["resurces"]
    assert "is an unknown field" in said["resurces"]
    assert "resources" in said["resurces"]


def test_every_wrong_field_is_named_at_once() -> None:
    said = refusal_of(
        {
            "name": "",
            "resources": {"gpus": -1, "cpu": "many", "tpu": 1},
            "parameters": {"1st": 1, "ok": 2},
            "max_retries": -1,
            "colour": "red",
        }
    )
    assert set(said) == {
        "input_path",
        "name",
        "resources.gpus",
        "resources.cpu",
        "resources.tpu",
        "parameters.1st",
        "max_retries",
        "colour",
    }


@pytest.mark.parametrize("body", [None, [], "a.ipynb", 7, True, [{"input_path": "a.ipynb"}]])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert "at least input_path" in refusal_of(body)["body"]


def test_a_profile_and_resources_exclude_each_other() -> None:
    said = refusal_of({"input_path": "a.ipynb", "profile": "small", "resources": {"gpus": 1}})
    assert list(said) == ["profile"]


# --- Parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["1st", "a-b", "a b", "a.b", "", "x=1; import os", "a\n", "$x", "n" * 256, "a/b"]
)
def test_a_parameter_name_that_code_cannot_assign_to_is_refused(name: str) -> None:
    said = refusal_of({"input_path": "a.ipynb", "parameters": {name: 1}})
    assert list(said) == [f"parameters.{name[:100]}"]
    assert "letters, digits and _" in said[f"parameters.{name[:100]}"]


@pytest.mark.parametrize("name", ["alpha", "_x", "x1", "größe", "名前"])
def test_a_parameter_name_may_be_any_identifier(name: str) -> None:
    assert parse(parameters={name: 1}).parameters == {name: 1}
    run_request.check_parameters({name: 1}, None, "python3", "python")


@pytest.mark.parametrize(
    ("language", "name"),
    [
        *(("python", word) for word in ("class", "None", "lambda", "await", "__debug__")),
        *(("R", word) for word in ("TRUE", "function", "NA_integer_", "repeat", "_x")),
        *(("julia", word) for word in ("end", "struct", "baremodule", "true")),
        ("scala", "class"),
    ],
)
def test_a_reserved_word_of_the_kernels_language_is_refused(language: str, name: str) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        run_request.check_parameters({"alpha": 1, name: 2}, None, "a-kernel", language)
    assert list(caught.value.fields) == [f"parameters.{name}"]
    assert "rename the parameter" in caught.value.fields[f"parameters.{name}"]


@pytest.mark.parametrize(
    ("language", "name"),
    [("R", "class"), ("R", "lambda"), ("julia", "class"), ("python", "end"), ("python", "TRUE")],
)
def test_a_reserved_word_of_another_language_is_fine(language: str, name: str) -> None:
    run_request.check_parameters({name: 1}, None, "a-kernel", language)


@pytest.mark.parametrize("language", ["ruby", "sage", ""])
def test_parameters_for_a_language_that_none_can_be_written_in_are_refused(language: str) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        run_request.check_parameters({"alpha": 1}, None, "a-kernel", language)
    assert list(caught.value.fields) == ["parameters"]
    assert "Run the notebook without parameters" in caught.value.fields["parameters"]
    run_request.check_parameters({}, None, "a-kernel", language)


def test_the_kernel_that_runs_decides_on_the_language() -> None:
    run_request.check_parameters({"TRUE": 1}, None, "python3", "python")
    with pytest.raises(errors.InvalidRequestError):
        run_request.check_parameters({"TRUE": 1}, "ir", "python3", "python")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_cannot_carry_is_refused(text: str) -> None:
    body = json.loads(f'{{"input_path": "a.ipynb", "parameters": {{"x": {{"y": [1, {text}]}}}}}}')
    assert "which JSON cannot represent; send null" in refusal_of(body)["parameters.x"]


@pytest.mark.parametrize(
    "value", [HALF_A_CHARACTER, ["a", HALF_A_CHARACTER], {HALF_A_CHARACTER: 1}]
)
def test_half_a_character_in_a_parameter_is_refused(value: Any) -> None:
    body = {"input_path": "a.ipynb", "parameters": {"x": value}}
    assert "half a character" in refusal_of(body)["parameters.x"]


def test_parameters_may_be_nested_but_not_without_end() -> None:
    deepest = {"x": nested(field_types.MAX_PARAMETER_DEPTH)}
    assert parse(parameters=deepest).as_json()["parameters"] == deepest
    # As deep as Python's own reader of JSON lets through.
    for depth in (field_types.MAX_PARAMETER_DEPTH + 1, 900):
        said = refusal_of({"input_path": "a.ipynb", "parameters": {"x": nested(depth)}})
        assert "nested deeper than 32 levels" in said["parameters.x"]


json_text = st.text(st.characters(), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | json_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_text, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(sorted(RunRequest.__dataclass_fields__)) | json_text, json_values
    ).map(lambda body: {"input_path": "a.ipynb", **body})
)
def test_any_json_is_a_request_that_can_be_stored_or_a_refusal_that_can_be_sent(body: Any) -> None:
    try:
        request = run_request.parse_run_request(body)
    except errors.InvalidRequestError as error:
        said = error.fields
    else:
        said = {"": ""}
        stored = json.dumps(request.as_json(), ensure_ascii=False, allow_nan=False).encode()
        assert run_request.parse_run_request(json.loads(stored)) == request
    assert said
    assert json.dumps(said, ensure_ascii=False).encode()


# --- What is stored ----------------------------------------------------------------------------


def test_a_record_survives_being_stored() -> None:
    record = RunRecord(
        run_id="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
        name="<b>😀/",
        owner=Owner.of("Ada@example.com"),
        namespace="team-a",
        created_at="2026-01-02T03:04:05.678Z",
        request=parse(parameters={"x": [1, None]}, tags=["t"]),
        local_queue="team-a",
        resources=Resources("2", "4Gi", 1),
        image="example.org/notebook:1",
        notebook="a.ipynb",
        input=(
            {
                "path": "a.ipynb",
                "size_bytes": 3,
                "sha256": "00",
                "executable": False,
                "modified_at": "2026-01-01T00:00:00.000Z",
            },
        ),
        priority_class="high",
        schedule_id="nightly",
        rerun_of="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f11",
    )
    stored = json.loads(json.dumps(record.as_json()))
    assert stored["version"] == 1
    assert RunRecord.from_json(stored) == record


def test_a_record_of_a_later_version_is_still_read() -> None:
    record = RunRecord(
        run_id="6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
        name="name",
        owner=Owner.of("ada"),
        namespace="ns",
        created_at="2026-01-02T03:04:05Z",
        request=RunRequest("a.ipynb"),
        local_queue="team-a",
        resources=Resources(),
        image="image",
        notebook="a.ipynb",
        input=(),
    )
    stored = record.as_json()
    stored |= {"version": 2, "sweep": {"x": [1]}}
    stored["resources"]["gpu_type"] = "a100"
    stored["owner"]["group"] = "team"
    assert RunRecord.from_json(stored) == record


def test_times_are_written_in_utc_with_milliseconds() -> None:
    moment = dt.datetime(2026, 1, 2, 5, 4, 5, 678_900, dt.timezone(dt.timedelta(hours=2)))
    assert times.rfc3339(moment) == "2026-01-02T03:04:05.678Z"
    assert times.parse_time("2026-01-02T03:04:05.678Z") == moment.replace(microsecond=678_000)
    assert times.parse_time(times.now()).tzinfo is not None
