"""What a run wrote may be larger than a server's memory: it is passed on, never held."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain import stored_types
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.storage.bucket import Bucket
from tests.server.conftest import connected_server

if TYPE_CHECKING:
    from tests.server.conftest import Server

pytestmark = pytest.mark.integration

RUN_ID = "00000000-0000-4000-8000-000000000001"
AT = "2026-01-02T03:04:05.000Z"
LINE = b"x" * 1023 + b"\n"
SIZE = 128 * 2**20
# A file comes and goes in parts, some of which are under way at once.
ROOM = 64 * 2**20


async def fill(bucket: Bucket) -> None:
    prefix = f"tess/runs/{RUN_ID}/"
    record = RunRecord(
        run_id=RUN_ID,
        name="talkative",
        owner=Owner("tess", "tess"),
        namespace="none",
        created_at=AT,
        request=RunRequest("a.ipynb"),
        local_queue="team-a",
        resources=Resources(),
        image="registry.example/notebook:1",
        notebook="a.ipynb",
        input=(),
    )
    text = "v" * 3_000_000
    error = {"name": "ValueError", "value": text, "cell_index": 0, "cell_source": text}
    result = {
        "outcome": "notebook-failed",
        "error": {**error, "traceback": [text]},
        "message": text,
        "ended_at": AT,
        "files": [
            {"path": "a.ipynb", "size_bytes": SIZE, "sha256": None, "role": "notebook"},
            {"path": "run.log", "size_bytes": SIZE, "sha256": None, "role": "log"},
        ],
    }
    await bucket.put_json(f"{prefix}record.json", record.as_json())
    await bucket.put_json(f"{prefix}result.json", result)
    await bucket.put_bytes(f"{prefix}output/run.log", LINE * (SIZE // len(LINE)) + b"the end\n")
    await bucket.copy(f"{prefix}output/run.log", f"{prefix}output/a.ipynb")


def peak_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def length(server: Server, path: str) -> int:
    with server.stream(path) as response:
        assert response.status == 200
        total = 0
        while part := response.read(2**20):
            total += len(part)
        return total


def test_a_large_log_and_notebook_are_passed_on(namespace: Any, tmp_path: Path):
    asyncio.run(fill(Bucket.open(namespace.bucket_dir)))
    environment = {**namespace.env, "JUPYTERHUB_USER": "tess"}
    with connected_server(tmp_path / "server", environment) as server:
        before = peak_bytes(server)
        tail = server.request("GET", f"runs/{RUN_ID}/logs?tail=2")
        assert tail.body == LINE + b"the end\n"
        assert length(server, f"runs/{RUN_ID}/logs") == SIZE + 8
        assert length(server, f"runs/{RUN_ID}/logs?tail=10000") == 9999 * len(LINE) + 8
        assert length(server, f"runs/{RUN_ID}/notebook") == SIZE + 8
        assert length(server, f"runs/{RUN_ID}/files/a.ipynb") == SIZE + 8
        assert peak_bytes(server) - before < ROOM


def test_what_an_error_says_is_short_in_lists_and_in_the_run(namespace: Any, tmp_path: Path):
    asyncio.run(fill(Bucket.open(namespace.bucket_dir)))
    environment = {**namespace.env, "JUPYTERHUB_USER": "tess"}
    with connected_server(tmp_path / "server", environment) as server:
        [row] = server.request("GET", "runs").json["items"]
        assert row["message"].startswith("vvv")
        assert len(row["message"]) <= stored_types.MAX_STATUS_LENGTH
        answer = server.request("GET", f"runs/{RUN_ID}")
        assert answer.json["error"]["value"].endswith("(3000000 characters in all)")
        assert len(answer.body) < 70_000
