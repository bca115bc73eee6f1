"""What the runner does while the bucket is away, refuses, or holds a result already."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from jupyter_kueue.contract import pod_contract
from tests.runner.pod import Job
from tests.support import object_store as stores
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.programs


@pytest.fixture
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Seaweed]:
    """Give an object store that this test may stop and start."""
    store = stores.Seaweed(tmp_path_factory.mktemp("frail"))
    store.start()
    yield store
    store.kill()


def test_it_goes_away_and_comes_back(frail: stores.Seaweed, tmp_path: Path) -> None:
    run = Job(frail, tmp_path, "open('file.txt', 'w').write('kept')")

    # While staging in:
    pod = run.pod()
    frail.kill()
    staging = pod.start_stage_in()
    until(
        lambda: "does not answer" in (staging.stdout.readline() if staging.stdout else ""), "told"
    )
    frail.start()
    assert pod.end_stage_in(staging) == 0, pod.said

    # And while the outputs are put away:
    frail.kill()
    pod.start()
    until(lambda: pod.control(pod_contract.ENDED_FILE), "the notebook ended")
    until(
        lambda: "does not answer" in (pod.sidecar.stdout.readline() if pod.sidecar.stdout else ""),
        "the sidecar says why it waits",
    )
    assert pod.notebook.poll() is None  # execute waits for the outputs
    frail.start()
    assert pod.wait() == 0
    pod.stop_sidecar()
    assert run.result["outcome"] == "succeeded"
    assert run.output("file.txt") == b"kept"
    run.end()


def test_outputs_that_take_longer_than_execute_waits_for_a_sign(
    frail: stores.Seaweed, tmp_path: Path
) -> None:
    run = Job(frail, tmp_path, "open('file.txt', 'w').write('kept')")
    pod = run.pod(**{pod_contract.ENV_COMMIT_SECONDS: "8"})
    assert pod.stage_in() == 0
    pod.start()
    until(lambda: pod.control(pod_contract.PROGRESS_FILE), "the notebook is about to run")
    sign = pod.folder / "runner" / pod_contract.STORING_FILE
    frail.pause()
    until(sign.exists, "the outputs are on their way")
    first = sign.stat().st_mtime
    until(lambda: sign.stat().st_mtime > first + 9, "more time than that is over")
    assert pod.notebook.poll() is None
    frail.resume()
    assert pod.wait() == 0
    pod.stop_sidecar()
    assert run.output("file.txt") == b"kept"
    run.end()


def test_a_sidecar_that_hangs_is_not_waited_for(new_run: Callable[..., Job]) -> None:
    run = new_run("import time\ntime.sleep(1)")
    pod = run.pod(**{pod_contract.ENV_COMMIT_SECONDS: "1"})
    assert pod.stage_in() == 0
    pod.start()
    until(lambda: pod.control(pod_contract.PROGRESS_FILE), "the notebook is about to run")
    pod.sidecar.send_signal(signal.SIGSTOP)

    assert pod.wait() == pod_contract.EXIT_STAGING
    assert "no sign of life for 1 s" in pod.termination_message
    pod.sidecar.send_signal(signal.SIGCONT)
    pod.stop_sidecar()


def test_it_stays_away(frail: stores.Seaweed, tmp_path: Path) -> None:
    short = {pod_contract.ENV_STAGING_SECONDS: "1"}
    run = Job(frail, tmp_path, "1/0", environment=short)
    pod = run.pod()
    assert pod.stage_in() == 0
    pod.start()
    until(lambda: pod.control(pod_contract.PROGRESS_FILE), "the notebook is about to run")
    frail.kill()

    # Not the code of a failed cell: without its result the run did not end.
    assert pod.wait() == pod_contract.EXIT_STAGING
    assert "could not be stored" in pod.termination_message
    assert "does not answer" in pod.termination_message
    pod.stop_sidecar()

    other = run.pod()
    assert other.stage_in() == pod_contract.EXIT_STAGING
    assert "does not answer" in other.termination_message
    run.end()


def test_it_refuses_to_be_written(new_run: Callable[..., Job]) -> None:
    short = {pod_contract.ENV_STAGING_SECONDS: "0.5"}
    run = new_run("print(1)", environment=short)
    pod = run.pod()
    assert pod.stage_in() == 0
    for name, value in zip(("access_key_id", "secret_access_key"), stores.READER, strict=True):
        (pod.folder / "bucket" / name).write_text(value)
    pod.start()

    assert pod.wait() == pod_contract.EXIT_STAGING
    assert "does not allow these credentials to write" in pod.termination_message
    assert stores.READER[1] not in pod.termination_message + pod.stop_sidecar()


def test_it_does_not_know_the_credentials(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)", credentials=("nobody", "knows"))
    pod = run.pod(**{pod_contract.ENV_STAGING_SECONDS: "0.5"})

    assert pod.stage_in() == pod_contract.EXIT_STAGING
    assert "rejects the credentials" in pod.termination_message


def test_an_identity_that_may_use_its_prefix_alone(new_run: Callable[..., Job]) -> None:
    assert new_run("print(1)", credentials=stores.ALICE).run().exit_code == 0


def test_sigterm_while_staging_in(frail: stores.Seaweed, tmp_path: Path) -> None:
    run = Job(frail, tmp_path, "print(1)")
    pod = run.pod()
    frail.pause()
    staging = pod.start_stage_in()
    until(lambda: _sockets(staging.pid), "stage-in waits for the bucket")
    staging.send_signal(signal.SIGTERM)
    staging.communicate(timeout=5)
    frail.resume()

    assert staging.returncode == pod_contract.EXIT_INTERRUPTED


def test_sigterm_while_putting_away(frail: stores.Seaweed, tmp_path: Path) -> None:
    run = Job(frail, tmp_path, "1/0")
    pod = run.pod(**{pod_contract.ENV_GRACE_PERIOD: "3"})
    assert pod.stage_in() == 0
    pod.start()
    until(lambda: pod.control(pod_contract.PROGRESS_FILE), "the notebook is about to run")
    frail.pause()
    until(lambda: pod.control(pod_contract.ENDED_FILE), "the notebook ended")
    pod.notebook.send_signal(signal.SIGTERM)

    # Not the code of a failed cell, which would fail the Job on its next admission.
    assert pod.wait() == pod_contract.EXIT_INTERRUPTED
    frail.resume()
    run.end()


def _sockets(pid: int) -> bool:
    """Return whether a process has sent something over TCP that is not answered."""
    try:
        return any(c.status == "ESTABLISHED" for c in psutil.Process(pid).net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False


def test_a_result_that_is_there_already(new_run: Callable[..., Job]) -> None:
    run = new_run("print('once')")
    first = run.run()
    result = run.read(pod_contract.RESULT_KEY)

    second = run.run()  # preempted in the first one's last second, say

    assert second.exit_code == 0
    assert "once" not in second.log
    assert run.read(pod_contract.RESULT_KEY) == result
    assert json.loads(result or b"")["pod_uid"] == first.uid


def test_a_newer_attempt_has_taken_over(new_run: Callable[..., Job]) -> None:
    """A pod on a node that was thought lost goes on while its successor runs."""
    run = new_run("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    old, new = run.pod(), run.pod()
    assert old.stage_in() == 0
    old.start()
    until(
        lambda: (old.control(pod_contract.PROGRESS_FILE) or {}).get("cell") == 1, "the old one runs"
    )
    assert new.stage_in() == 0
    (old.folder / "workspace" / "go").touch()

    assert old.wait() == pod_contract.EXIT_INTERRUPTED  # not counted against the run
    assert new.uid in old.termination_message
    old.stop_sidecar()
    assert run.result is None

    new.start()
    (new.folder / "workspace" / "go").touch()
    assert new.wait() == 0
    new.stop_sidecar()
    assert run.result["pod_uid"] == new.uid
    assert set(run.result["attempt_uids"]) == {old.uid, new.uid}


def test_a_changed_input_is_noticed(new_run: Callable[..., Job]) -> None:
    run = new_run("print(1)", files={"data.csv": b"1,2\n"})
    asyncio.run(run.bucket.put_bytes(f"{run.prefix}input/data.csv", b"3,4\n"))
    pod = run.pod(**{pod_contract.ENV_STAGING_SECONDS: "0.5"})

    assert pod.stage_in() == pod_contract.EXIT_STAGING
    assert "data.csv differs from what was submitted" in pod.termination_message
    assert pod.attempt["reason"] == "staging"


def test_parameters_of_a_language_without_translator(new_run: Callable[..., Job]) -> None:
    spec = {"kernelspec": {"name": "lolcode", "language": "lolcode", "display_name": "x"}}
    run = new_run("HAI", metadata=spec, parameters={"x": 1})
    pod = run.pod()

    assert pod.stage_in() == pod_contract.EXIT_STAGING
    assert "Run the notebook without parameters" in pod.termination_message
