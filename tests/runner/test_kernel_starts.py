"""A kernel that does not come up: started again where that may help, final where it cannot."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.contract import pod_contract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runner.pod import Job

# Stands between whoever starts the kernel and the kernel, which it becomes.
FIRST_TIME = """
import json, os, signal, socket, sys
marks, connection = {marks!r}, json.load(open(sys.argv[1]))
times = len(os.listdir(marks))
open(os.path.join(marks, str(times)), "w").close()
if times < {times}:
    {first}
os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", sys.argv[1]])
"""
# The kernel inherits the socket.
TAKE_PORT = (
    "taken = socket.socket(); taken.bind(('127.0.0.1', connection['shell_port'])); taken.listen(); "
    "os.set_inheritable(taken.fileno(), True)"
)


def wrapped(tmp_path: Path, first: str, times: int = 1) -> dict[str, str]:
    """Return the environment of a kernel ``wrapped`` that does ``first`` at its first starts."""
    marks = tmp_path / "starts"
    marks.mkdir()
    program = tmp_path / "wrapper.py"
    program.write_text(FIRST_TIME.format(marks=str(marks), first=first, times=times))
    return kernelspec(tmp_path, [sys.executable, str(program), "{connection_file}"])


def kernelspec(tmp_path: Path, argv: list[str], **more: Any) -> dict[str, str]:
    folder = tmp_path / "jupyter" / "kernels" / "wrapped"
    folder.mkdir(parents=True)
    spec = {"argv": argv, "display_name": "Wrapped", "language": "python", **more}
    (folder / "kernel.json").write_text(json.dumps(spec))
    return {"JUPYTER_PATH": str(tmp_path / "jupyter")}


@pytest.mark.parametrize(
    "first",
    [
        TAKE_PORT,
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "sys.exit(1)",
        "sys.exit(0)",
    ],
    ids=["port", "signal", "exit code 1", "exit code 0"],
)
def test_a_kernel_that_fails_once_is_started_again(
    new_run: Callable[..., Job], tmp_path: Path, first: str
) -> None:
    environment = wrapped(tmp_path, first)
    pod = new_run("print('it', 'runs')", kernel_name="wrapped").run(**environment)

    assert pod.exit_code == 0, pod.log
    assert "it runs" in pod.log
    assert "Starting it again." in pod.log
    assert len(list((tmp_path / "starts").iterdir())) == 2


def test_a_kernel_that_never_comes_up_may_be_tried_elsewhere(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    environment = wrapped(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", times=99)
    pod = new_run("print(1)", kernel_name="wrapped").run(**environment)

    assert pod.exit_code == pod_contract.EXIT_KERNEL_DIED
    assert "killed by SIGKILL" in pod.termination_message
    assert len(list((tmp_path / "starts").iterdir())) == 4


@pytest.mark.parametrize("port", ["shell_port", "iopub_port", "control_port"])
def test_the_environments_own_kernel_is_started_again(
    new_run: Callable[..., Job], tmp_path: Path, port: str
) -> None:
    """The one that is started before anything else, whose port is taken meanwhile."""
    (tmp_path / "sitecustomize.py").write_text(
        "import json, os, socket, sys, time\n"
        f"mark = {str(tmp_path / 'mark')!r}\n"
        "if '-f' in sys.orig_argv and not os.path.exists(mark):\n"
        "    open(mark, 'w').close(); taken = socket.socket()\n"
        "    path = sys.orig_argv[sys.orig_argv.index('-f') + 1]\n"
        "    while not os.path.exists(path) or not os.path.getsize(path): time.sleep(0.001)\n"
        "    connection = json.load(open(path))\n"
        f"    taken.bind(('127.0.0.1', connection[{port!r}])); taken.listen()\n"
    )
    pod = new_run("print('it', 'runs')").run(PYTHONPATH=str(tmp_path))

    assert pod.exit_code == 0, pod.log
    assert (tmp_path / "mark").exists()
    assert "Starting it again." in pod.log


def test_a_module_that_is_missing_is_final(new_run: Callable[..., Job], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "no_such_kernel", "-f", "{connection_file}"]
    pod = new_run("print(1)", kernel_name="wrapped").run(**kernelspec(tmp_path, argv))

    assert pod.exit_code == pod_contract.EXIT_NO_KERNEL
    assert "no module no_such_kernel" in pod.termination_message


def test_what_a_kernel_imports_is_missing(new_run: Callable[..., Job], tmp_path: Path) -> None:
    argv = [sys.executable, "-S", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    pod = new_run("print(1)", kernel_name="wrapped").run(**kernelspec(tmp_path, argv))

    assert pod.exit_code == pod_contract.EXIT_NO_KERNEL
    assert "no module ipykernel" in pod.termination_message


def test_a_program_that_is_missing_is_final(new_run: Callable[..., Job], tmp_path: Path) -> None:
    argv = ["/no/such/program", "{connection_file}"]
    pod = new_run("print(1)", kernel_name="wrapped").run(**kernelspec(tmp_path, argv))

    assert pod.exit_code == pod_contract.EXIT_NO_KERNEL
    assert "/no/such/program" in pod.termination_message


def test_a_kernel_that_is_interrupted_by_message(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    environment = kernelspec(tmp_path, argv, interrupt_mode="message")
    run = new_run(
        "import time\nprint('so far', flush=True)\nwhile True: time.sleep(0.01)",
        kernel_name="wrapped",
        timeout_seconds=2,
    )
    pod = run.run(**environment)

    assert pod.exit_code == pod_contract.EXIT_TIME_LIMIT
    outputs = json.loads(run.output("train.ipynb"))["cells"][0]["outputs"]
    assert outputs[-1]["ename"] == "KeyboardInterrupt"


def test_a_kernel_that_cannot_encrypt_as_its_kernelspec_says_runs_without(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    """A kernelspec that a newer ipykernel has left is one."""
    program = (
        "import json, runpy, sys\n"
        "path = sys.argv[1]\n"
        "with open(path) as file: connection = json.load(file)\n"
        "for name in ('curve_publickey', 'curve_secretkey'): connection.pop(name, None)\n"
        "with open(path, 'w') as file: json.dump(connection, file)\n"
        "sys.argv = ['kernel', '-f', path]\n"
        "runpy.run_module('ipykernel_launcher', run_name='__main__')\n"
    )
    environment = kernelspec(
        tmp_path,
        [sys.executable, "-c", program, "{connection_file}"],
        metadata={"supported_encryption": ["curve"]},
    )

    pod = new_run("print('it', 'runs')", kernel_name="wrapped").run(**environment)

    assert pod.exit_code == 0, pod.log
    assert "it runs" in pod.log
    assert "it does not take connections that are encrypted" in pod.log


@pytest.mark.parametrize(
    "odd",
    [{"metadata": [1]}, {"env": "x"}, {"argv": []}, {"argv": [1]}],
    ids=str,
)
def test_a_kernelspec_that_none_may_write_is_final(
    new_run: Callable[..., Job], tmp_path: Path, odd: dict[str, Any]
) -> None:
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], **odd}
    environment = kernelspec(tmp_path, **spec)

    pod = new_run("print(1)", kernel_name="wrapped").run(**environment)

    assert pod.exit_code == pod_contract.EXIT_NO_KERNEL, pod.log
    assert "'wrapped'" in pod.termination_message
    assert "Traceback" not in pod.termination_message
