"""REST as a user meets it: a real Jupyter server on the real cluster."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from .conftest import connected_server
from .test_openapi import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Answer, Server

pytestmark = pytest.mark.integration

SIZE = {"cpu": "100m", "memory": "512Mi"}


@pytest.fixture
def server(namespace: Any, tmp_path: Path) -> Iterator[Server]:
    with connected_server(
        tmp_path / "server", {**namespace.env, "JUPYTERHUB_USER": "tess"}
    ) as found:
        yield found


def write_notebook(server: Server, path: str, *sources: str) -> str:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    target = server.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), target)
    return path


def submit(server: Server, path: str, **fields: Any) -> Answer:
    body = {"input_path": path, "local_queue": "team-a", "resources": SIZE, **fields}
    return server.request("POST", "jobs", body)


def until(server: Server, job_id: str, is_there: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 90
    while True:
        job = server.request("GET", f"jobs/{job_id}").json
        if is_there(job):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)


def ended(job: Any) -> bool:
    return job["state"] in ("succeeded", "failed", "stopped")


def next_event(response: Any) -> dict[str, str]:
    """Return the next server-sent event as its fields, passing over comments."""
    event: dict[str, str] = {}
    while True:
        line = response.readline().decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if not line and "data" in event:
            return event
        if line and not line.startswith(":"):
            event[name] = value


def test_a_run_from_submit_to_its_files(server: Server):
    path = write_notebook(
        server, "reports/Grüße 1.ipynb", "print('hello')", "open('ünï.txt', 'w').write('x' * 100)"
    )
    with server.stream("changes") as changes:
        assert next_event(changes)["event"] == "hello"
        answer = submit(server, path, name="<script>/😀", idempotency_key="once")
        assert answer.status == 201, answer.body
        validate(answer.json, "Job")
        job_id = answer.json["job_id"]
        assert answer.headers["Location"] == f"/jupyter-kueue/jobs/{job_id}"
        states = []
        while "succeeded" not in states:
            event = next_event(changes)
            change = json.loads(event["data"])
            validate(change, "Change")
            assert event["id"] == change["cursor"]
            if event["event"] == "job":
                assert change["job"]["state"] not in ("failed", "stopped"), change
                states.append(change["job"]["state"])
    assert list(dict.fromkeys(states))[-2:] == ["running", "succeeded"]

    job = server.request("GET", f"jobs/{job_id}").json
    validate(job, "Job")
    assert (job["name"], job["state"], job["owner"]) == ("<script>/😀", "succeeded", "tess")
    roles = {file["path"]: file["role"] for file in job["files"]}
    assert next(iter(roles.items())) == ("Grüße 1.ipynb", "notebook")
    assert roles["ünï.txt"] == "side-effect"

    again = submit(server, path, name="<script>/😀", idempotency_key="once")
    assert (again.status, again.json["job_id"]) == (200, job_id)
    other = submit(server, path, name="other", idempotency_key="once")
    assert (other.status, other.json["reason"]) == (409, "conflict")

    listed = server.request("GET", "jobs?state=succeeded&text=script").json
    validate(listed, "JobList")
    assert [item["job_id"] for item in listed["items"]] == [job_id]
    assert server.request("GET", "jobs?state=failed").json["total"] == 0
    assert server.request("GET", "jobs?state=nope").status == 422
    assert server.request("GET", "jobs?sort=colour").status == 422
    assert server.request("GET", "jobs?cursor=nonsense").status == 422

    check_files(server, job_id)
    check_log_and_notebook(server, job_id)
    check_changes(server, job_id)


def check_log_and_notebook(server: Server, job_id: str) -> None:
    log = server.request("GET", f"jobs/{job_id}/logs?follow=true")
    assert (log.status, log.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"hello" in log.body
    notebook = server.request("GET", f"jobs/{job_id}/notebook")
    assert "".join(notebook.json["cells"][0]["outputs"][0]["text"]) == "hello\n"
    same = {"If-None-Match": notebook.headers["Etag"]}
    assert server.request("GET", f"jobs/{job_id}/notebook", headers=same).status == 304
    head = server.request("HEAD", f"jobs/{job_id}/notebook")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(notebook.body))


def check_changes(server: Server, job_id: str) -> None:
    renamed = server.request("PATCH", f"jobs/{job_id}", {"name": "better", "tags": ["a"]})
    assert (renamed.status, renamed.json["name"], renamed.json["tags"]) == (200, "better", ["a"])
    assert server.request("PATCH", f"jobs/{job_id}", {"state": "failed"}).status == 422
    assert server.request("PATCH", f"jobs/{job_id}", {"local_queue": "team-b"}).status == 409

    rerun = server.request("POST", f"jobs/{job_id}/rerun", {"name": "again"})
    assert (rerun.status, rerun.json["rerun_of"]) == (201, job_id)
    validate(rerun.json, "Job")
    assert server.request("POST", f"jobs/{rerun.json['job_id']}/stop").status == 200
    stopped = until(server, rerun.json["job_id"], ended)
    assert stopped["state"] in ("stopped", "succeeded")

    unknown = "00000000-0000-4000-8000-000000000000"
    answer = server.request("DELETE", f"jobs?job_id={job_id}&job_id={unknown}&job_id=x")
    assert answer.status == 200
    validate(answer.json, "Deletion")
    assert answer.json["deleted"] == [job_id]
    failures = [(item["job_id"], item["reason"]) for item in answer.json["failures"]]
    assert failures == [(unknown, "not-found"), ("x", "not-found")]
    assert server.request("GET", f"jobs/{job_id}").status == 404
    assert server.request("DELETE", f"jobs/{rerun.json['job_id']}").status == 204
    assert server.request("DELETE", f"jobs/{job_id}").status == 404


def check_files(server: Server, job_id: str) -> None:
    base = f"jobs/{job_id}/files"
    listed = server.request("GET", base).json
    validate(listed, "FileList")
    assert listed["total"] == len(listed["items"])
    path = f"{base}/%C3%BCn%C3%AF.txt"
    whole = server.request("GET", path)
    assert (whole.status, whole.body) == (200, b"x" * 100)
    assert "filename*=UTF-8''%C3%BCn%C3%AF.txt" in whole.headers["Content-Disposition"]
    assert whole.headers["Content-Disposition"].startswith("attachment")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    etag = whole.headers["Etag"]
    assert server.request("GET", path, headers={"If-None-Match": etag}).status == 304
    head = server.request("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "100")
    for asked, says, number in (
        ("bytes=0-9", "bytes 0-9/100", 10),
        ("bytes=90-", "bytes 90-99/100", 10),
        ("bytes=-5", "bytes 95-99/100", 5),
        ("bytes=95-1000", "bytes 95-99/100", 5),
        ("bytes=-1000", "bytes 0-99/100", 100),
    ):
        part = server.request("GET", path, headers={"Range": asked})
        assert (part.status, part.headers["Content-Range"], len(part.body)) == (206, says, number)
    for asked in ("bytes=100-", "bytes=-0"):
        answer = server.request("GET", path, headers={"Range": asked})
        assert (answer.status, answer.json["reason"]) == (416, "range-not-satisfiable")
    for headers in (
        {"Range": "bytes=9-1"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=0-1"},
        {"Range": "bytes=0-9", "If-Range": '"other"'},
    ):
        assert server.request("GET", path, headers=headers).status == 200
    fresh = {"Range": "bytes=0-9", "If-Range": etag}
    assert server.request("GET", path, headers=fresh).status == 206
    for missing in ("nope.txt", "input/../../other", "result.json"):
        assert server.request("GET", f"{base}/{missing}").status == 404


def test_choices_and_health(server: Server, namespace: Any):
    for path, schema in (
        ("local-queues", "LocalQueueList"),
        ("profiles", "ProfileList"),
        ("environments", "EnvironmentList"),
        ("health", "Health"),
    ):
        answer = server.request("GET", path)
        assert answer.status == 200, answer.body
        validate(answer.json, schema)
    queues = server.request("GET", "local-queues").json
    assert [item["name"] for item in queues["items"]] == list(namespace.local_queues)
    assert server.request("GET", "health").json["ok"] is True


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"input_path": "none.ipynb"}, "input_path", "does not exist"),
        ({"input_path": "../a.ipynb"}, "input_path", "below the server's root"),
        ({"input_path": "/etc/passwd"}, "input_path", "below the server's root"),
        ({"input_path": "text.ipynb"}, "input_path", "holds no JSON"),
        ({"local_queue": "nope"}, "local_queue", "team-a"),
        ({"priority_class": "nope"}, "priority_class", "nope"),
        ({"resources": None, "profile": "nope"}, "profile", "small"),
        ({"environment": "nope"}, "environment", "default"),
        ({"resources": {"gpus": -1}}, "resources.gpus", "from 0"),
        ({"resources": {"gpus": 10**9}}, "resources.gpus", "1024"),
        ({"resources": {"gpus": "two"}}, "resources.gpus", "whole number"),
        ({"name": "x" * 10_000}, "name", "255"),
        ({"name": "two\nlines"}, "name", "control characters"),
        ({"parameters": {"class": 1}}, "parameters.class", "reserved word"),
        ({"parameters": {"a-b": 1}}, "parameters.a-b", "letters, digits"),
        ({"colour": "red"}, "colour", "is not a field"),
        ({"include_folder": "yes"}, "include_folder", "true or false"),
    ],
)
def test_bad_input_names_the_field(
    shared_server: Server, fields: dict[str, Any], field: str, says: str
):
    answer = submit(shared_server, "a.ipynb", **fields)
    assert answer.status == 422, answer.body
    assert list(answer.json["fields"]) == [field]
    assert says in answer.json["fields"][field]
    assert shared_server.request("GET", "jobs").json["total"] == 0


@pytest.fixture(scope="module")
def shared_server(local_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in the default namespace, for requests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    environment = {**local_cluster.env, "JUPYTERHUB_USER": f"bad-input-{folder.name}"}
    with connected_server(folder, environment) as server:
        write_notebook(server, "a.ipynb", "1")
        (server.root / "text.ipynb").write_text("print('hello')")
        yield server


def test_several_bad_fields_are_named_at_once(shared_server: Server):
    answer = submit(
        shared_server, "none.ipynb", local_queue="nope", priority_class="nope", environment="nope"
    )
    assert set(answer.json["fields"]) == {
        "input_path",
        "local_queue",
        "priority_class",
        "environment",
    }


def test_a_notebook_over_the_limit(shared_server: Server):
    with (shared_server.root / "big.ipynb").open("wb") as file:
        file.truncate(200 * 2**20)
    answer = submit(shared_server, "big.ipynb")
    assert (answer.status, answer.json["reason"]) == (413, "too-large")
    assert "max_notebook_bytes" in answer.json["message"]


def test_a_folder_of_10000_files(shared_server: Server):
    write_notebook(shared_server, "many/a.ipynb", "1")
    for number in range(10_000):
        (shared_server.root / "many" / f"{number}.txt").touch()
    answer = submit(shared_server, "many/a.ipynb", include_folder=True)
    assert (answer.status, answer.json["reason"]) == (413, "too-large")
    assert "more than 2000 files" in answer.json["message"]
