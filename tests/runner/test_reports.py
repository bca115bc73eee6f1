"""What the staging containers believe of what lies in the control folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import times
from jupyter_kueue.runner.stage_out import reports
from jupyter_kueue.storage.bucket import encode_json

if TYPE_CHECKING:
    from pathlib import Path

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=[]))
    | st.just("x" * 30_000)
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "cell",
    "cell_index",
    "cells",
    "cells_done",
    "ended_at",
    "error",
    "message",
    "peak_memory_bytes",
    "elsewhere",
    "pod_uid",
    "since",
    "started_at",
    "updated_at",
)
ERROR_FIELDS = ("name", "value", "cell", "cell_index", "cell_source", "traceback")
ERROR = st.fixed_dictionaries({}, optional=dict.fromkeys(ERROR_FIELDS, ANYTHING))
REPORT = st.fixed_dictionaries(
    {"outcome": st.sampled_from(pod_contract.OUTCOMES)},
    optional=dict.fromkeys(FIELDS, ANYTHING) | {"error": ERROR},
)


@given(REPORT)
def test_whatever_a_notebook_forges_comes_out_bounded_and_of_its_kinds(
    tmp_path_factory: pytest.TempPathFactory, report: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("control")
    for name in (pod_contract.ENDED_FILE, pod_contract.PROGRESS_FILE):
        (folder / name).write_text(json.dumps(report))
    ended = reports.read_ended(folder)
    progress = reports.read_progress(folder)
    assert ended is not None
    assert progress is not None
    for found in (ended, progress):
        assert len(encode_json(found)) < 2 * reports.MAX_FILE_BYTES
        for number in ("cells", "cells_done"):
            assert found[number] is None or 0 <= found[number] < 2**60
    assert ended["outcome"] == report["outcome"]
    assert isinstance(ended["message"], str)
    assert times.is_moment(ended["ended_at"])
    assert len(ended["elsewhere"]) <= pod_contract.MAX_ELSEWHERE
    error = ended["error"]
    assert error is None or all(isinstance(line, str) for line in error["traceback"])


def test_what_execute_reports_arrives_as_it_is(tmp_path: Path) -> None:
    ended = {
        "pod_uid": "",
        "outcome": "notebook-failed",
        "error": {
            "name": "ValueError",
            "value": "no such <thing> ü",
            "cell": 1,
            "cell_index": 1,
            "cell_source": "raise",
            "traceback": ["a", "b"],
        },
        "message": "A cell failed.",
        "sentence": {"code": "cell-failed", "values": {"cell": 1}},
        "started_at": "2026-01-01T00:00:00.000Z",
        "ended_at": "2026-01-01T00:00:01.000Z",
        "cells": 3,
        "cells_done": 1,
        "peak_memory_bytes": 2**40,
        "elsewhere": ["~/model.pt"],
    }
    (tmp_path / pod_contract.ENDED_FILE).write_text(json.dumps(ended))
    assert reports.read_ended(tmp_path) == ended


ILLEGIBLE = {
    "no JSON": b"{",
    "deep": b"[" * 100_000,
    "deep and whole": b"[" * 5_000 + b"]" * 5_000,
    "a list": b"[]",
    "no outcome": b"{}",
    "odd outcome": b'{"outcome": ["succeeded"]}',
    "unknown outcome": b'{"outcome": "won"}',
    "too many digits": b'{"outcome": "succeeded", "cells": ' + b"9" * 10_000 + b"}",
    "not UTF-8": b'{"outcome": "\xff"}',
    "large": b'{"outcome": "succeeded", "message": "' + b"x" * 2**20 + b'"}',
}


@pytest.mark.parametrize("content", ILLEGIBLE.values(), ids=ILLEGIBLE)
def test_an_end_that_cannot_be_read_is_waited_for_and_told_in_the_end(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / pod_contract.ENDED_FILE).write_bytes(content)
    (tmp_path / pod_contract.PROGRESS_FILE).write_bytes(content)
    end = reports.End(tmp_path)
    assert end.read() is None
    assert end.read() is None
    monkeypatch.setattr(reports, "ILLEGIBLE_SECONDS", 0)
    told = end.read()
    assert told is not None
    assert told["outcome"] == pod_contract.KERNEL_DIED
    assert "ended.json" in told["message"]
    reports.read_progress(tmp_path)  # no error, whatever it makes of it

    (tmp_path / "new").write_text('{"outcome": "succeeded"}')
    (tmp_path / "new").replace(tmp_path / pod_contract.ENDED_FILE)
    found = end.read()
    assert found is not None
    assert found["outcome"] == "succeeded"


def test_what_is_no_file_is_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"outcome": "succeeded", "message": "secret"}')
    with socket.socket(socket.AF_UNIX) as server:
        for number, plant in enumerate(
            (
                lambda path: path.symlink_to(secret),
                lambda path: path.symlink_to("/proc/self/fd/0"),
                os.mkfifo,
                lambda path: path.mkdir(),
                lambda path: server.bind(str(path)),
            )
        ):
            folder = tmp_path / str(number)
            folder.mkdir()
            for name in (pod_contract.ENDED_FILE, pod_contract.PROGRESS_FILE):
                if name == pod_contract.PROGRESS_FILE and number == 4:
                    continue
                plant(folder / name)
            assert reports.End(folder).read() is None
            assert reports.read_progress(folder) is None
    gone = tmp_path / "gone"
    assert reports.End(gone).read() is None
    (tmp_path / "link").symlink_to(tmp_path / "0")
    assert reports.read_progress(tmp_path / "link") is None


@pytest.mark.programs
def test_a_sparse_report_of_a_terabyte_costs_no_memory(tmp_path: Path) -> None:
    for name in (pod_contract.ENDED_FILE, pod_contract.PROGRESS_FILE):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**40)
    script = (
        "import resource, sys, pathlib\n"
        "from jupyter_kueue.runner.stage_out import reports\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "print(reports.End(folder).read(), reports.read_progress(folder))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None None\n"
