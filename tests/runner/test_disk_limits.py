"""A run that writes more than its pod may ends by its own doing, before a kubelet evicts it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.contract import pod_contract
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job

# Writes ten times a second, as training does, and heeds an interrupt by the way.
WRITES = """
import os, time
print('begins', flush=True)
with open(os.path.join(os.environ.get({folder!r}, '.'), 'large'), 'wb') as file:
    for _ in range(600):
        file.write(os.urandom(2**18)); file.flush(); time.sleep(0.1)
"""
FIVE_MIB = str(5 * 2**20)


@pytest.mark.parametrize(
    ("folder", "limit", "words"),
    [
        ("", {pod_contract.ENV_VOLUME_LIMITS: f'{{"workspace": {FIVE_MIB}}}'}, "volume workspace"),
        ("SCRATCH_DIR", {pod_contract.ENV_VOLUME_LIMITS: f'{{"scratch": {FIVE_MIB}}}'}, "scratch"),
        ("HOME", {pod_contract.ENV_DISK_LIMIT: FIVE_MIB}, "it may use 5 MiB of its machine's disk"),
    ],
)
def test_a_run_that_outgrows_a_limit_ends_with_what_it_has(
    new_run: Callable[..., Job], folder: str, limit: dict[str, str], words: str
) -> None:
    run = new_run("x = 1", WRITES.format(folder=folder), "print('never')", max_retries=3)
    own = {name: str(run.folder / name) for name in ("HOME", "TMPDIR")}
    for path in own.values():
        Path(path).mkdir()

    pod = run.run(**own, **limit)

    assert pod.exit_code == pod_contract.EXIT_DISK_FULL
    assert words in pod.termination_message
    assert "in cell 2 of 3" in pod.termination_message
    result = run.result
    assert result["outcome"] == pod.attempt["reason"] == "disk-full"
    assert result["cells_done"] == 1
    cells = json.loads(run.output("train.ipynb"))["cells"]
    assert "begins\n" in json.dumps(cells[1]["outputs"]).replace("\\n", "\n")
    assert cells[2]["execution_count"] is None


def test_beyond_its_limit_a_pod_that_is_told_to_stop_ends_the_run_too(
    new_run: Callable[..., Job],
) -> None:
    run = new_run(WRITES.format(folder="SCRATCH_DIR"))
    limit = f'{{"scratch": {FIVE_MIB}}}'
    own = {name: str(run.folder / "own") for name in ("HOME", "TMPDIR")}
    pod = run.pod(**own, **{pod_contract.ENV_VOLUME_LIMITS: limit})
    assert pod.stage_in() == 0
    pod.start()
    until(lambda: (pod.attempt or {}).get("reason"), "it has noticed", seconds=60)
    pod.notebook.send_signal(signal.SIGTERM)

    assert pod.wait() in (pod_contract.EXIT_DISK_FULL_AT_STOP, pod_contract.EXIT_DISK_FULL)
    pod.stop_sidecar()
    assert pod.attempt["reason"] == pod_contract.DISK_FULL

    again = run.run()
    assert again.exit_code == pod_contract.EXIT_SUCCEEDED  # finds that the run has ended


def test_within_its_limits_a_run_is_left_alone(new_run: Callable[..., Job]) -> None:
    limits = {pod_contract.ENV_VOLUME_LIMITS: f'{{"workspace": {FIVE_MIB}, "control": {FIVE_MIB}}}'}
    run = new_run(
        "import os\nprint([k for k in os.environ if 'LIMIT' in k])\nopen('a', 'wb').write(b'x')"
    )
    own = {name: str(run.folder / "own") for name in ("HOME", "TMPDIR")}
    limits |= {pod_contract.ENV_DISK_LIMIT: FIVE_MIB, f"{pod_contract.ENV_DISK_LIMIT}_1": "0"}
    pod = run.run(**own, **limits)
    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED
    # And none of it is the notebook's business.
    assert "DISK_LIMIT" not in run.output("run.log").decode()
    assert "VOLUME_LIMITS" not in run.output("run.log").decode()
