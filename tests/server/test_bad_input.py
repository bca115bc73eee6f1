"""What cannot be: each bad request names its field and the fix, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import socket
import uuid
from typing import TYPE_CHECKING, Any

import obstore
import pytest

from jupyter_kueue.domain import names
from jupyter_kueue.storage.bucket import Bucket
from tests.support.notebooks import write_notebook

from .conftest import connected_server, ended, submit, until_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Server

pytestmark = pytest.mark.integration

OWNER = f"bad-input-{uuid.uuid4().hex[:8]}"


def left_behind(local_cluster: Any) -> list[str]:
    """Return what there is of the owner's: keys below its runs in the bucket, Jobs, Workloads."""
    store = Bucket.open(local_cluster.bucket_dir).store
    keys = [item["path"] for chunk in obstore.list(store, f"{OWNER}/runs") for item in chunk]
    mine = ("-l", f"{names.LABEL_OWNER}={OWNER}", "-o", "name")
    return keys + local_cluster.kubectl("get", "jobs,pods", *mine).split()


@pytest.fixture(scope="module")
def server(local_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in the default namespace, whose requests must leave nothing behind there."""
    folder = tmp_path_factory.mktemp("bad-input")
    with connected_server(folder, {**local_cluster.env, "JUPYTERHUB_USER": OWNER}) as found:
        fill(found.root)
        write_notebook(found.root, "a.ipynb", "1")
        write_notebook(found.root, "linked/a.ipynb", "1")
        yield found


def fill(root: Path) -> None:
    """Make what is no usable input: links, folders, devices, files that are no notebooks."""
    outside = root.parent / "outside"
    outside.mkdir()
    write_notebook(outside, "secret.ipynb")
    (root / "link.ipynb").symlink_to(outside / "secret.ipynb")
    (root / "folder-link").symlink_to(outside)
    (root / "nowhere.ipynb").symlink_to(root / "gone.ipynb")
    (root / "round.ipynb").symlink_to(root / "round.ipynb")
    (root / "folder.ipynb").mkdir()
    os.mkfifo(root / "pipe.ipynb")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "socket.ipynb"))
    (root / "text.ipynb").write_text("print('hello')")
    (root / "list.ipynb").write_text("[1, 2]")
    (root / "empty.ipynb").touch()
    (root / "data.csv").write_text("a,b\n1,2\n")
    (root / "broken.ipynb").write_bytes(b"\xff\xfe\x00")
    (root / "linked").mkdir()
    (root / "linked" / "out").symlink_to(outside)


PATHS = [
    ("none.ipynb", "does not exist"),
    ("none/a.ipynb", "does not exist"),
    ("", "path"),
    (".", "the server's root"),
    ("../a.ipynb", "the server's root"),
    ("../outside/secret.ipynb", "the server's root"),
    ("linked/../../outside/secret.ipynb", "the server's root"),
    ("..\\outside\\secret.ipynb", "must use /"),
    ("/etc/passwd", "the server's root"),
    ("link.ipynb", "leads outside the server's root"),
    ("folder-link/secret.ipynb", "leads outside the server's root"),
    ("nowhere.ipynb", "does not exist"),
    ("round.ipynb", "leads back to itself"),
    ("folder.ipynb", "is a folder"),
    ("pipe.ipynb", "is not a regular file"),
    ("socket.ipynb", "is not a regular file"),
    ("data.csv", "choose a file ending in .ipynb"),
    ("text.ipynb", "is not JSON"),
    ("list.ipynb", "notebook"),
    ("empty.ipynb", "it is empty"),
    ("broken.ipynb", "JSON"),
    ("a\0.ipynb", "NUL"),
    ("x" * 5000 + ".ipynb", "path"),
    (7, "must be"),
    (None, "is required"),
]


@pytest.mark.parametrize(("path", "says"), PATHS)
def test_what_is_no_notebook_of_ours(server: Server, local_cluster: Any, path: Any, says: str):
    answer = submit(server, path)
    assert (answer.status, answer.json["reason"]) == (422, "invalid"), answer.body
    assert list(answer.json["fields"]) == ["input_path"]
    assert says in answer.json["fields"]["input_path"]
    assert str(server.root) not in answer.json["message"]
    assert left_behind(local_cluster) == []


FIELDS = [
    ({"local_queue": "nope"}, "local_queue", "team-a"),
    ({"local_queue": "Not A Name"}, "local_queue", "lower"),
    ({"priority_class": "nope"}, "priority_class", "nope"),
    ({"resources": None, "profile": "nope"}, "profile", "small"),
    ({"environment": "nope"}, "environment", "default"),
    ({"resources": {"gpus": -1}}, "resources.gpus", "between 0"),
    ({"resources": {"gpus": 10**9}}, "resources.gpus", "1024"),
    ({"resources": {"gpus": "two"}}, "resources.gpus", "whole number"),
    ({"resources": {"gpus": 1.5}}, "resources.gpus", "whole number"),
    ({"resources": {"gpus": True}}, "resources.gpus", "whole number"),
    ({"resources": {"colour": 1}}, "resources.colour", "is not a"),
    ({"name": "x" * 10_000}, "name", "255"),
    ({"name": "two\nlines"}, "name", "control characters"),
    ({"name": ""}, "name", "255"),
    ({"name": 5}, "name", "text"),
    ({"parameters": {"class": 1}}, "parameters.class", "reserved word"),
    ({"parameters": {"a-b": 1}}, "parameters.a-b", "letters, digits"),
    ({"parameters": {"1a": 1}}, "parameters.1a", "letters, digits"),
    ({"parameters": {"": 1}}, "parameters.", "letters, digits"),
    ({"parameters": [1]}, "parameters", "object"),
    ({"colour": "red"}, "colour", "is an unknown field"),
    ({"include_folder": "yes"}, "include_folder", "true or false"),
    ({"output_formats": ["../x"]}, "output_formats", "html"),
    ({"output_formats": ["exe"]}, "output_formats", "html"),
    ({"timeout_seconds": -1}, "timeout_seconds", "between 1"),
    ({"max_retries": "many"}, "max_retries", "whole number"),
]


@pytest.mark.parametrize(("fields", "field", "says"), FIELDS)
def test_a_bad_field_is_named(
    server: Server, local_cluster: Any, fields: dict[str, Any], field: str, says: str
):
    answer = submit(server, "a.ipynb", **fields)
    assert (answer.status, answer.json["reason"]) == (422, "invalid"), answer.body
    assert list(answer.json["fields"]) == [field]
    assert says in answer.json["fields"][field]
    assert left_behind(local_cluster) == []


def test_several_bad_fields_are_named_at_once(server: Server, local_cluster: Any):
    answer = submit(
        server, "none.ipynb", local_queue="nope", priority_class="nope", environment="nope"
    )
    assert answer.status == 422
    assert set(answer.json["fields"]) == {
        "input_path",
        "local_queue",
        "priority_class",
        "environment",
    }
    assert left_behind(local_cluster) == []


@pytest.fixture
def stopped_queue(local_cluster: Any) -> Iterator[str]:
    """A queue of its own that an admin has stopped."""
    name = f"stopped-{uuid.uuid4().hex[:8]}"
    spec = {"clusterQueue": "team-a", "stopPolicy": "Hold"}
    queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
    local_cluster.apply([queue])
    local_cluster.kubectl("wait", "--for=condition=Active=false", f"localqueue/{name}")
    yield name
    local_cluster.kubectl("delete", "localqueue", name)


def test_a_stopped_queue(server: Server, local_cluster: Any, stopped_queue: str):
    with server.stream("changes") as changes:
        while b"event: hello" not in changes.readline():
            pass
        answer = submit(server, "a.ipynb", local_queue=stopped_queue)
    assert answer.status == 422, answer.body
    said = answer.json["fields"]["local_queue"]
    assert "is not accepting runs" in said
    assert "Choose another queue" in said
    assert answer.json["field_sentences"]["local_queue"] == {
        "code": "queue-takes-no-runs-now",
        "values": {"queue": stopped_queue, "why": {"code": "queue-paused", "values": {}}},
    }
    assert left_behind(local_cluster) == []


def test_a_notebook_over_the_limit(server: Server, local_cluster: Any):
    with (server.root / "big.ipynb").open("wb") as file:
        file.truncate(200 * 2**20)
    answer = submit(server, "big.ipynb")
    assert (answer.status, answer.json["reason"]) == (413, "too-large")
    assert "max_notebook_bytes" in answer.json["message"]
    assert "input_path" in answer.json["message"]
    assert left_behind(local_cluster) == []


def test_a_folder_of_10000_files(server: Server, local_cluster: Any):
    write_notebook(server.root, "many/a.ipynb", "1")
    for number in range(10_000):
        (server.root / "many" / f"{number}.txt").touch()
    answer = submit(server, "many/a.ipynb", include_folder=True)
    assert (answer.status, answer.json["reason"]) == (413, "too-large")
    assert "more files than the limit of 2000" in answer.json["message"]
    assert "include_folder" in answer.json["message"]
    assert left_behind(local_cluster) == []


def test_a_folder_with_a_link_out_of_the_root(server: Server, local_cluster: Any):
    answer = submit(server, "linked/a.ipynb", include_folder=True)
    assert answer.status == 422, answer.body
    assert (
        "is a link to something outside the server's root"
        in answer.json["fields"]["include_folder"]
    )
    assert left_behind(local_cluster) == []


@pytest.mark.parametrize("token", [None, "wrong", "test-token2"])
def test_a_missing_or_wrong_token(server: Server, local_cluster: Any, token: str | None):
    headers = {"Authorization": f"token {token}"} if token else {}
    body = {"input_path": "a.ipynb", "local_queue": "team-a"}
    answer = server.request("POST", "runs", body, headers, authenticated=False)
    assert (answer.status, answer.json["reason"]) == (403, "forbidden")
    assert left_behind(local_cluster) == []


def test_odd_names_are_fine_and_inert(server: Server, local_cluster: Any):
    """The last of this module: it does leave something behind, until it is deleted."""
    name = "<script>alert(1)</script> ../😀/%00 ${HOME} 'quoted\" & ünï\u202e"
    answer = submit(server, "a.ipynb", name=name, tags=["<b>", "😀"])
    assert answer.status == 201, answer.body
    run_id = answer.json["run_id"]
    job = until_run(server, run_id, ended)
    assert (job["state"], job["name"], job["tags"]) == ("succeeded", name, ["<b>", "😀"])
    listed = server.request("GET", "runs")
    assert listed.headers["Content-Type"].startswith("application/json")
    assert [item["name"] for item in listed.json["items"]] == [name]
    # In the cluster it is an annotation's text, and nothing that is run.
    [job] = local_cluster.get("jobs", "-l", f"{names.LABEL_RUN_ID}={run_id}")["items"]
    assert "alert(1)" not in json.dumps(job["spec"]["template"]["spec"])
    assert server.request("DELETE", f"runs/{run_id}").status == 204


def test_hidden_files_stay_at_home_and_the_answers_say_so(server: Server):
    work = server.root / "hidden-things"
    path = write_notebook(server.root, "hidden-things/a.ipynb", "1")
    (work / ".env").write_text("TOKEN=secret")
    (work / ".ssh").mkdir()
    (work / ".ssh" / "id_ed25519").write_text("secret")
    run = submit(server, path, include_folder=True).json
    assert run["left_behind"]["paths"] == [".env", ".ssh/"]
    assert run["left_behind"]["count"] == 2
    assert "were not uploaded: .env, .ssh/" in run["left_behind"]["message"]
    inputs = server.request("GET", f"runs/{run['run_id']}/inputs").json["items"]
    assert [item["path"] for item in inputs] == ["a.ipynb"]
    again = server.request("POST", f"runs/{run['run_id']}/rerun").json
    assert again["left_behind"] == run["left_behind"]

    body = {"input_path": path, "include_folder": True, "local_queue": "team-a"}
    schedule = server.request("POST", "schedules", body).json
    assert schedule["left_behind"] == run["left_behind"]
    shown = server.request("GET", f"schedules/{schedule['schedule_id']}").json
    assert shown["left_behind"] == run["left_behind"]

    (work / ".jupyterkueueignore").write_text("!.env\n")
    run = submit(server, path, include_folder=True).json
    assert run["left_behind"]["paths"] == [".ssh/"]

    hidden = write_notebook(server.root, "hidden-things/.ssh/b.ipynb", "1")
    answer = submit(server, hidden)
    assert answer.status == 422
    assert "is hidden" in answer.json["fields"]["input_path"]
    assert server.request("GET", f"/api/contents/{hidden}").status == 404

    for job in server.request("GET", "runs").json["items"]:
        assert server.request("DELETE", f"runs/{job['run_id']}").status == 204
    assert server.request("DELETE", f"schedules/{schedule['schedule_id']}").status == 204
