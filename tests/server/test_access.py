"""Who may ask, and what is answered while cluster or configuration are missing."""

from __future__ import annotations

import contextlib
import http.client
import http.cookies
import json
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.server import routes

from .conftest import REFUSED, TOKEN, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Server

RUN_ID = "0b9b1c3e-4d5f-4a6b-8c7d-9e0f1a2b3c4d"
# These need neither cluster nor bucket.
ALWAYS_ANSWERED = ("health", "openapi.json", "changes", "stock-backend")
ERROR = {"message", "sentence", "reason", "fields", "field_sentences"}
VERBS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")


def implemented() -> list[tuple[str, str]]:
    """Return verb and path of every route."""
    return [
        (route.verb, re.sub(r"\{\w+_id\}", RUN_ID, route.path).replace("{path}", "a/b.txt"))
        for route in routes.ROUTES
    ]


def test_the_table_has_every_verb_of_the_design():
    assert {(verb, path.replace(RUN_ID, "{id}")) for verb, path in implemented()} == {
        ("GET", "runs"),
        ("POST", "runs"),
        ("DELETE", "runs"),
        ("GET", "runs/{id}"),
        ("PATCH", "runs/{id}"),
        ("DELETE", "runs/{id}"),
        ("POST", "runs/{id}/stop"),
        ("POST", "runs/{id}/rerun"),
        ("GET", "runs/{id}/logs"),
        ("GET", "runs/{id}/notebook"),
        ("HEAD", "runs/{id}/notebook"),
        ("GET", "runs/{id}/files"),
        ("GET", "runs/{id}/files/a/b.txt"),
        ("HEAD", "runs/{id}/files/a/b.txt"),
        ("GET", "runs/{id}/inputs"),
        ("GET", "runs/{id}/inputs/a/b.txt"),
        ("HEAD", "runs/{id}/inputs/a/b.txt"),
        ("GET", "schedules"),
        ("POST", "schedules"),
        ("GET", "schedules/{id}"),
        ("PATCH", "schedules/{id}"),
        ("DELETE", "schedules/{id}"),
        ("POST", "schedules/{id}/run"),
        ("GET", "local-queues"),
        ("GET", "environments"),
        ("GET", "profiles"),
        ("GET", "changes"),
        ("GET", "health"),
        ("GET", "stock-backend"),
        ("GET", "openapi.json"),
    }


@pytest.mark.parametrize(("verb", "path"), implemented())
@pytest.mark.parametrize("token", [None, "wrong"])
def test_nobody_without_the_token(unconnected: Server, verb: str, path: str, token: str | None):
    headers = {"Authorization": f"token {token}"} if token else {}
    body = None if verb in ("GET", "HEAD") else {}
    answer = unconnected.request(verb, path, body, headers, authenticated=False)
    assert answer.status == 403
    if verb != "HEAD":
        assert answer.json["reason"] == "forbidden"
        assert "You are not logged in. Send the header" in answer.json["message"]
        assert set(answer.json) == ERROR


@pytest.mark.parametrize(("verb", "path"), implemented())
def test_nobody_whom_the_authorizer_refuses(unconnected: Server, verb: str, path: str):
    body = None if verb in ("GET", "HEAD") else {"input_path": "a.ipynb"}
    answer = unconnected.request(verb, path, body, {REFUSED: "jupyter_kueue"})
    assert answer.status == 403
    if verb != "HEAD":
        assert "not authorized" in answer.json["message"]


@pytest.mark.parametrize(
    ("verb", "path"),
    [(verb, path) for verb, path in implemented() if path not in ALWAYS_ANSWERED],
)
def test_without_a_cluster_each_route_says_so_at_once(unconnected: Server, verb: str, path: str):
    query = f"?run_id={RUN_ID}" if (verb, path) == ("DELETE", "runs") else ""
    bodies = {"POST": {"input_path": "a.ipynb"}, "PATCH": {"name": "x"}}
    body = {} if path.endswith(("/run", "/rerun")) else bodies.get(verb)
    answer = unconnected.request(verb, path + query, body)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    if verb != "HEAD":
        assert answer.json["reason"] == "not-configured"
        assert "jupyter kueue local up" in answer.json["message"]


def test_jupyter_itself_is_not_disturbed(unconnected: Server):
    assert unconnected.request("GET", "/api/contents").status == 200


def test_health_without_a_cluster(unconnected: Server):
    report = unconnected.request("GET", "health").json
    assert report["ok"] is False
    assert any("No usable Kubernetes configuration" in item["what"] for item in report["problems"])
    assert any("No image is set" in item["what"] for item in report["problems"])
    assert all(item["fix"] for item in report["problems"])


@pytest.mark.programs
def test_a_setting_that_cannot_be(tmp_path: Path):
    environment = {"JUPYTER_KUEUE_MAX_TIMEOUT_SECONDS": "two"}
    with running_server(tmp_path, environment) as server:
        for path in ("runs", "local-queues", "profiles", "changes"):
            answer = server.request("GET", path)
            assert answer.status == 503
            assert "JUPYTER_KUEUE_MAX_TIMEOUT_SECONDS cannot be 'two'" in answer.json["message"]
        [problem] = server.request("GET", "health").json["problems"]
        assert "JUPYTER_KUEUE_MAX_TIMEOUT_SECONDS" in problem["what"]
        assert server.request("GET", "/api/contents").status == 200


def test_a_page_of_another_site_cannot_submit(unconnected: Server):
    """A browser sends the login cookie by itself; only our own pages know the XSRF cookie."""
    visit = unconnected.request("GET", f"/api/status?token={TOKEN}", authenticated=False)
    jar = http.cookies.SimpleCookie()
    for line in visit.headers.get_all("Set-Cookie"):
        jar.load(line)
    xsrf = unconnected.request("GET", "/login", authenticated=False)
    for line in xsrf.headers.get_all("Set-Cookie") or []:
        jar.load(line)
    cookie = {"Cookie": "; ".join(f"{name}={item.value}" for name, item in jar.items())}
    refused = unconnected.request("POST", "runs", {}, cookie, authenticated=False)
    assert refused.status == 403
    assert "_xsrf" in refused.json["message"]
    known = {**cookie, "X-XSRFToken": jar["_xsrf"].value}
    allowed = unconnected.request("POST", "runs", {}, known, authenticated=False)
    assert allowed.status == 422


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "says"),
    [
        ("POST", "runs", b"{", 400, "not valid JSON"),
        ("POST", "runs", b"", 400, "not valid JSON"),
        ("POST", "runs", b'{"input_path": NaN}', 400, "NaN is no JSON value"),
        ("POST", "runs", b'{"parameters": {"a": 1e999}}', 400, "too large a number"),
        ("POST", "runs", b"[" * 100_000, 400, "not valid JSON"),
        ("POST", "runs", b"\xff\xfe{}", 400, "not valid JSON"),
        ("POST", "runs", [], 422, "send a JSON object"),
        ("POST", "runs", {}, 422, "is required"),
        ("POST", "runs", {"input_path": "a", "colour": "red"}, 422, "colour"),
        ("POST", "runs", b" " * (5 * 2**20), 413, "the limit is"),
        ("PATCH", f"runs/{RUN_ID}", [], 422, "send a JSON object"),
        ("GET", "runs?colour=red", None, 422, "is an unknown query parameter"),
        ("GET", "runs?limit=501", None, 422, "from 0 to 500"),
        ("GET", "runs?limit=-1", None, 422, "from 0 to 500"),
        ("GET", "runs?limit=two", None, 422, "from 0 to 500"),
        ("GET", "runs?limit=", None, 422, "from 0 to 500"),
        ("GET", f"runs/{RUN_ID}/logs?follow=", None, 422, "true or false"),
        ("GET", "schedules?active=", None, 422, "true or false"),
        ("GET", f"runs/{RUN_ID}/logs?follow=yes", None, 422, "true or false"),
        ("GET", f"runs/{RUN_ID}/logs?tail=x", None, 422, "whole number"),
        ("GET", "health?verbose=1", None, 422, "takes none"),
        ("GET", f"runs/{RUN_ID}/files/a/../../secret", None, 404, "no file"),
        ("GET", f"runs/{RUN_ID}/files/%2e%2e/secret", None, 404, "no file"),
        ("GET", f"runs/{RUN_ID}/files/a%00b", None, 404, "no file"),
        ("PUT", "runs", {}, 405, "is not supported here"),
        ("GET", f"runs/{RUN_ID}/rerun", None, 405, "is not supported here"),
        ("DELETE", "runs", None, 422, "once for each run to delete"),
    ],
)
def test_requests_that_cannot_be(
    unconnected: Server, verb: str, path: str, body: object, status: int, says: str
):
    answer = unconnected.request(verb, path, body)
    assert answer.status == status
    assert set(answer.json) == ERROR
    assert says in json.dumps(answer.json)


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("PUT", "runs", {"GET", "POST", "DELETE", "OPTIONS"}),
        ("GET", f"runs/{RUN_ID}/stop", {"POST", "OPTIONS"}),
        ("TRACE", "health", {"GET", "OPTIONS"}),
        ("QUERY", "changes", {"GET", "OPTIONS"}),
        ("DELETE", f"runs/{RUN_ID}/files/a/b", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_verb_that_a_route_lacks(unconnected: Server, verb: str, path: str, allowed: set[str]):
    answer = unconnected.request(verb, path)
    assert (answer.status, answer.json["reason"]) == (405, "method-not-allowed")
    assert {*answer.headers["Allow"].split(", ")} == allowed
    # As a browser asks: it sends no credentials with it.
    asked = unconnected.request("OPTIONS", path, authenticated=False)
    assert (asked.status, asked.body) == (204, b"")
    assert {*asked.headers["Allow"].split(", ")} == allowed


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "path",
    [
        *("/jupyter-kueue", "", "run", "runs/", f"runs/{RUN_ID}/", f"runs/{RUN_ID}/files/"),
        *(f"runs/{RUN_ID}/no-such", "openapi.yaml", "runs%2F", "a/b/c?x=1", "schedules//run"),
    ],
)
def test_a_route_that_there_is_not(unconnected: Server, verb: str, path: str):
    answer = unconnected.request(verb, path, {} if verb in ("POST", "PATCH", "PUT") else None)
    assert (answer.status, answer.json["reason"]) == (404, "not-found")
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json) == ERROR
    assert unconnected.request(verb, path, authenticated=False).status == 403


def test_a_query_parameter_is_given_once(unconnected: Server):
    answer = unconnected.request("GET", "runs?limit=1&limit=2&state=queued&state=running")
    assert answer.status == 422
    assert answer.json["fields"] == {"limit": "is given 2 times; give it only once"}
    assert answer.json["field_sentences"] == {
        "limit": {"code": "query-given-often", "values": {"count": 2}}
    }
    assert answer.json["sentence"] is None


@pytest.mark.parametrize("length", [2**30, 10**30])
def test_a_body_that_is_far_too_large_is_refused_before_it_is_sent(
    unconnected: Server, length: int
):
    with socket.create_connection(("127.0.0.1", unconnected.port), timeout=20) as connection:
        connection.sendall(
            b"POST /jupyter-kueue/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Authorization: token %b\r\nContent-Length: %d\r\n\r\n" % (TOKEN.encode(), length)
        )
        said = connection.recv(2**16)
    # Tornado itself refuses what is above its own limit, in its own words.
    assert said.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


def test_a_body_without_an_end_is_given_up(unconnected: Server):
    connection = http.client.HTTPConnection("127.0.0.1", unconnected.port, timeout=60)
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        while sent < 200 * 2**20:
            sent += 2**20
            yield b" " * 2**20

    with contextlib.closing(connection), contextlib.suppress(ConnectionError):
        connection.request(
            *("POST", "/jupyter-kueue/runs", parts(), unconnected.headers), encode_chunked=True
        )
        connection.getresponse()
    assert sent < 150 * 2**20
    assert unconnected.request("GET", "health").status == 200


def test_a_form_is_not_parsed(unconnected: Server):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = unconnected.request("POST", "runs", b"a=1&" * 2**20, form)
    assert (answer.status, answer.json["reason"]) == (400, "bad-request")


def test_jupyters_own_query_parameters_are_let_through(unconnected: Server):
    """JupyterLab adds the time to get past caches, and others of Jupyter's own."""
    assert unconnected.request("GET", "health?1700000000000&no_track_activity=1").status == 200


def test_answers_are_not_cached(unconnected: Server):
    for path in ("health", "runs", f"runs/{RUN_ID}"):
        assert unconnected.request("GET", path).headers["Cache-Control"] == "no-store"


def test_the_stream_of_changes_begins_without_a_cluster(unconnected: Server):
    with unconnected.stream("changes") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = [response.readline().decode().strip() for _ in range(5)]
    assert lines[0].startswith("retry:")
    assert lines[3] == "event: hello"
    hello = json.loads(lines[4].removeprefix("data: "))
    assert f"id: {hello['cursor']}" == lines[2]


def test_a_cursor_of_another_server_is_a_gap(unconnected: Server):
    for path, headers in (("changes?since=old-1", {}), ("changes", {"Last-Event-ID": "old-1"})):
        with unconnected.stream(path, headers) as response:
            lines = [response.readline().decode().strip() for _ in range(5)]
        assert lines[3] == "event: gap"


@pytest.mark.programs
def test_the_server_stops_while_somebody_listens(tmp_path: Path):
    environment = {"KUBECONFIG": str(tmp_path / "none")}
    with running_server(tmp_path, environment) as server, server.stream("changes") as response:
        response.readline()
        server.process.terminate()
        assert server.process.wait(20) is not None
    assert "Traceback" not in server.log.read_text()


def test_the_token_is_in_no_log_line(unconnected: Server):
    unconnected.request("GET", f"runs?token={TOKEN}")
    assert TOKEN not in unconnected.log.read_text()


@pytest.mark.programs
def test_importing_the_extension_imports_nothing_slow():
    code = """
import sys, json, jupyter_server.serverapp
before = set(sys.modules)
import jupyter_kueue.extension
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    imported = set(json.loads(done.stdout))
    assert imported <= {"jupyter_kueue", "jupyter_server", *sys.stdlib_module_names}


def test_listeners_that_go_away_leave_no_trace(unconnected: Server):
    before = unconnected.log.read_text().count("Traceback")
    for _ in range(3):
        with unconnected.stream("changes") as response:
            response.readline()
    # The server has noticed by the time that it has answered some more.
    for _ in range(20):
        unconnected.request("GET", "health")
    log = unconnected.log.read_text()
    assert log.count("Traceback") == before
    assert "never retrieved" not in log
