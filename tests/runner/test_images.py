"""Images that lack something, or were made for another user; and signals in the first moments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.shared import home
from tests.support.notebooks import notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runner.pod import Job, Pod

WITHOUT_PACKAGES = ("-I", "-S")  # stand for an image that has none


def start_bare(pod: Pod, module: str) -> subprocess.Popen[str]:
    """Start a staging container from a runner image without the package."""
    return pod.start_python(
        [*WITHOUT_PACKAGES, "-c", pod_contract.STAGING_PROGRAM, module], pod.staging
    )


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Return what a container's log says up to the line with ``word``."""
    said = ""
    assert process.stdout is not None
    while word not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


@pytest.mark.parametrize("which", [("stage_in", "stage_out"), ("stage_out",), ("stage_in",)])
def test_a_runner_image_without_the_package(new_run: Callable[..., Job], which: list[str]) -> None:
    pod = new_run("1").pod()
    staging = [start_bare(pod, module) for module in which]
    pod.start_notebook()
    # At once, where it would wait for two minutes for a program that never comes.
    assert pod.wait(20) == pod_contract.EXIT_STAGING
    for said in (pod.termination_message, pod.log):
        assert "The runner image example.org/runner:1" in said
        assert "No module named 'jupyter_kueue'" in said
        assert "set runner_image" in said
    for process in staging:
        said = read_until(process, "ModuleNotFoundError")
        assert "Traceback" in said  # in the log
        assert process.poll() is None  # one that ended would be started again
        process.terminate()
        assert process.wait(10) == pod_contract.EXIT_STAGING
    assert "Traceback" not in pod.termination_message


def test_a_runner_image_that_lacks_what_the_package_needs(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "obstore.py").write_text("raise ModuleNotFoundError('No module named \\'obstore\\'')")
    pod = new_run("1").pod()
    pod.staging["PYTHONPATH"] = f"{broken}:{pod.staging['PYTHONPATH']}"
    pod.start()
    assert pod.stage_in() == pod_contract.EXIT_STAGING
    assert pod.wait(20) == pod_contract.EXIT_STAGING
    pod.stop_sidecar(pod_contract.EXIT_STAGING)
    assert "obstore" in pod.said
    assert "set runner_image" in pod.said


ODD_NOTEBOOKS = {
    "a cell that is none": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1]}',
    "deep": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": %s}'
    % (b"[" * 100_000 + b"]" * 100_000),
    "no UTF-8": b'{"nbformat": 4, "cells": [], "metadata": {"\xff": 1}}',
    "odd metadata": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": 7, "cells": []}',
    "tags of another kind": json.dumps(
        {**json.loads(notebook("1")), "cells": [{"cell_type": "code", "metadata": {"tags": 5}}]}
    ).encode(),
}


@pytest.mark.parametrize("content", ODD_NOTEBOOKS.values(), ids=ODD_NOTEBOOKS)
def test_staging_says_in_words_what_nobody_foresaw(
    new_run: Callable[..., Job], content: bytes
) -> None:
    run = new_run(content=content, parameters={"x": 1})
    pod = run.pod()
    code = pod.stage_in()
    if code == pod_contract.EXIT_SUCCEEDED:
        return  # it is taken as it is, and execute says what is wrong with it
    assert code == pod_contract.EXIT_STAGING
    message = pod.termination_message
    assert message.startswith("The inputs could not be fetched")
    assert "Traceback" not in message
    assert len(message) < 1000
    assert pod.attempt["reason"] == pod_contract.STAGING
    assert pod.attempt["message"] in message


def test_stage_out_says_in_words_what_nobody_foresaw(new_run: Callable[..., Job]) -> None:
    pod = new_run("1").pod()
    assert pod.stage_in() == 0
    (pod.folder / "runner" / pod_contract.STAGED_FILE).write_text("[" * 100_000)
    pod.start()
    assert pod.wait() == pod_contract.EXIT_STAGING
    assert pod.termination_message.startswith("The outputs could not be stored")
    assert "Traceback" not in pod.termination_message
    assert "Traceback" in pod.stop_sidecar(pod_contract.EXIT_STAGING)


@pytest.mark.parametrize("kind", ["missing", "nobody's"])
def test_a_home_that_cannot_be_written(
    new_run: Callable[..., Job], tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    where = {"missing": "/nonexistent", "nobody's": "/proc"}
    run = new_run(
        "import os, pathlib\n"
        "for name in ('HOME', 'MPLCONFIGDIR', 'XDG_CACHE_HOME'):\n"
        "    print(name, os.environ.get(name))\n"
        "(pathlib.Path.home() / 'x').write_text('y')\nimport matplotlib.pyplot",
        environment={
            "HOME": where[kind],
            "MPLCONFIGDIR": "/proc/matplotlib",
            "XDG_CACHE_HOME": str(file),
        },
    )
    pod = run.run()
    assert pod.exit_code == 0, pod.log
    assert f"HOME {pod.folder / 'scratch' / 'home-'}" in pod.log
    assert "MPLCONFIGDIR None" in pod.log
    assert "writable" not in pod.log


def test_a_home_that_can_be_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    home.ensure()
    assert os.environ["HOME"] == str(tmp_path)
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / "not" / "yet")


def slow_python(folder: Path) -> str:
    """Make a Python that takes a while to come up, as on a cold disk, until a file is there."""
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\nwhile [ ! -e {folder}/go ]; do sleep 0.05; done\nexec {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


def test_sigterm_in_a_containers_first_moments(new_run: Callable[..., Job], tmp_path: Path) -> None:
    """As a kubelet does it: the hook, then the signal."""
    pod = new_run("1").pod()
    notebook_container = subprocess.Popen(
        [slow_python(tmp_path), "-c", pod_contract.EXECUTE_PROGRAM],
        env=pod.environment,
        cwd=pod.folder,
    )
    pod.processes.append(notebook_container)  # type: ignore[arg-type]
    hook = pod.start_python(["-I", "-S", "-c", pod_contract.HEED_PROGRAM], pod.environment)
    with pytest.raises(subprocess.TimeoutExpired):
        hook.wait(0.5)  # it waits for as long as the signal would be lost
    (tmp_path / "go").touch()
    assert hook.wait(10) == 0
    notebook_container.send_signal(signal.SIGTERM)
    assert notebook_container.wait(10) == pod_contract.EXIT_INTERRUPTED


def test_the_hook_leaves_half_of_the_grace_period(new_run: Callable[..., Job]) -> None:
    pod = new_run("1").pod(**{pod_contract.ENV_GRACE_PERIOD: "0.4"})
    hook = pod.start_python(["-I", "-S", "-c", pod_contract.HEED_PROGRAM], pod.environment)
    assert hook.wait(10) == 0


def test_the_hook_does_not_wait_for_a_notebook_that_runs(new_run: Callable[..., Job]) -> None:
    pod = new_run("1").pod(**{pod_contract.ENV_GRACE_PERIOD: "3600"})
    pod.start_notebook()
    until((pod.folder / "control" / pod_contract.LISTENING_FILE).exists, "it listens")
    hook = pod.start_python(["-I", "-S", "-c", pod_contract.HEED_PROGRAM], pod.environment)
    assert hook.wait(10) == 0
