"""A notebook that does to its own run, or to its files, what nobody expects."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration

STOPS_ITSELF = """
import os, signal, time
print("before", flush=True)
with open(f"/proc/{os.getppid()}/stat") as file:
    container = int(file.read().rsplit(")", 1)[1].split()[1])
os.kill(container, signal.SIGTERM)
time.sleep(60)
"""
# Names and times as archives and careless programs leave them.
ODD_FILES = """
import os
names = ["line\\nbreak", b"\\xff\\xfe", "-rf", "back\\\\slash", " space ", "dot.", "a" * 255, "é"]
for name in (*names, "quo\\"te'", "%2e%2e", "con", "\\u202egpj", "e\\u0301", "\\x1b[31m"):
    with open(name, "w") as file:
        file.write("x")
times = (-3 * 10**8, -1, 0, 1, 2**31, 2**33, 10**11)
for number, time in enumerate(times):
    with open(f"time-{number}", "w") as file:
        file.write("x")
    os.utime(f"time-{number}", (time, time))
os.chmod("time-0", 0o7777)
os.chmod("time-1", 0)
"""


async def test_a_run_that_stops_itself_is_no_preempted_one(session, write_notebook):
    path = write_notebook("a.ipynb", STOPS_ITSELF)
    run = await session.submit(path)

    ended = await session.until_finished(run["run_id"])

    assert (ended["state"], ended["reason"]) == ("failed", "interrupted")
    assert "os.kill" in ended["message"]
    assert len(ended["attempts"]) == 1
    content = await session.runs.notebook(run["run_id"])
    assert b"before" in b"".join([chunk async for chunk in content.chunks])


async def test_odd_names_and_times_of_files_are_kept(session, write_notebook):
    path = write_notebook("a.ipynb", ODD_FILES)
    run = await session.submit(path)

    ended = await session.until_finished(run["run_id"])

    assert ended["state"] == "succeeded", ended["message"]
    found = {file["path"]: file for file in ended["files"]}
    assert {"a.ipynb", "run.log", "-rf", "dot.", "time-0", "time-6"} <= set(found)
    assert found["time-0"]["modified_at"] is None
    assert found["time-3"]["modified_at"] == "1970-01-01T00:00:01.000Z"
    # What no path may hold is replaced.
    assert {"line_break", "back_slash", "__", "_[31m"} <= set(found)
    assert (ended["warnings"], ended["file_errors"]) == ([], {})
