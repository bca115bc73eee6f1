"""Preemption at every stage of a pod ends in another attempt, and never in a failure."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

KERNEL = "ipykernel_launcher"
ONE_GPU = {"resources": {"cpu": "100m", "memory": "256Mi", "gpus": 1}}


def processes_of(run_id, program):
    """Return the pids of a run's processes that run ``program`` on the local node."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if not any(program.encode() in part for part in command[1:4]):
                continue
            if f"JUPYTER_KUEUE_RUN_ID={run_id}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def held_still(pids):
    """Stop processes for a while, as a slow bucket would."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.fixture
def crowd(session, write_notebook):
    """Takes what team-b has, so that team-a has its own quota and nothing to borrow."""
    path = write_notebook("filler.ipynb", "import time\ntime.sleep(600)")

    async def fill():
        filler = await session.submit(path, **{**ONE_GPU, "local_queue": "team-b"})
        await session.until_state(filler["run_id"], "running")

    return fill


async def preempt(session, write_notebook, victim_id):
    """Submit a run of high priority that needs the victim's GPU; return it once that has it."""
    path = write_notebook("urgent.ipynb", "import time\ntime.sleep(2)")
    urgent = await session.submit(path, priority_class="high", **ONE_GPU)
    preempted = await session.until(
        victim_id,
        lambda run: (
            (run["state"], run["reason"]) == ("queued", "preempted") or run["state"] == "succeeded"
        ),
    )
    if preempted["state"] == "queued":
        assert preempted["message"].startswith("Paused: ")
    return urgent


@pytest.mark.parametrize("namespace", [{"gpus": 2}], indirect=True)
@pytest.mark.parametrize("stage", ["staging", "running", "uploading"])
async def test_preempted_run_succeeds_later(session, write_notebook, crowd, eventually, stage):
    await crowd()
    cells = ["print('first')", "import time\ntime.sleep(5)"]
    path = write_notebook("victim.ipynb", *(cells[:1] if stage == "uploading" else cells))
    victim = await session.submit(path, priority_class="low", max_retries=0, **ONE_GPU)
    run_id = victim["run_id"]
    program = {"staging": "stage_in", "uploading": "stage_out"}.get(stage)
    if program is None:
        await session.until(run_id, lambda run: (run["progress"] or {}).get("cells_done") == 1)
        urgent = await preempt(session, write_notebook, run_id)
    else:
        if stage == "uploading":  # the sidecar first leaves what starts the kernel
            await eventually(lambda: processes_of(run_id, KERNEL))
        pids = await eventually(lambda: processes_of(run_id, program))
        with held_still(pids):
            if stage == "uploading":
                await eventually(lambda: not processes_of(run_id, KERNEL))
            urgent = await preempt(session, write_notebook, run_id)

    assert (await session.until_finished(urgent["run_id"]))["state"] == "succeeded"
    done = await session.until_finished(run_id)
    assert done["state"] == "succeeded", done["message"]
    assert done["progress"]["cells_done"] == done["progress"]["cells"]


@pytest.mark.parametrize("namespace", [{"gpus": 2}], indirect=True)
@pytest.mark.parametrize("stage", ["pulling", "unscheduled"])
async def test_preempted_before_its_pod_runs(open_session, write_notebook, crowd, stage):
    settings = {
        "pulling": {"environments": {"nosuch": {"image": "registry.invalid/nosuch:1"}}},
        "unscheduled": {"pod_template": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}},
    }[stage]
    await crowd()
    path = write_notebook("victim.ipynb", "print(1)")
    async with open_session(**settings) as other:
        environment = {"environment": "nosuch"} if stage == "pulling" else {}
        victim = await other.submit(path, priority_class="low", **environment, **ONE_GPU)
        reason = {"pulling": "image-pull", "unscheduled": "unschedulable"}[stage]
        await other.until(victim["run_id"], lambda run: run["reason"] == reason)
        urgent_path = write_notebook("urgent.ipynb", "print(1)")
        urgent = await other.submit(urgent_path, priority_class="high", **ONE_GPU)
        await other.until(victim["run_id"], lambda run: run["reason"] == "preempted")
        await other.runs.stop(urgent["run_id"])
        again = await other.until(victim["run_id"], lambda run: run["reason"] == reason)
        assert again["state"] == "starting"
