"""A kernel's ports are in reach of whoever shares its network: of a machine's users, for one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runner.pod import Job, Pod

# A process that it forks prints through a port of its own.
WAITS = "import os, time\nopen('started', 'w')\nwhile not os.path.exists('go'): time.sleep(0.01)"
REFUSED = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_DISCONNECTED,
}


def listening_ports(pod: Pod) -> set[int]:
    processes = psutil.Process(pod.notebook.pid).children(recursive=True)
    return {
        connection.laddr.port
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def connect(port: int, kind: int, *, has_keys: bool) -> int:
    """Return what comes of a connection: ``zmq.EVENT_HANDSHAKE_SUCCEEDED`` or a refusal."""
    with zmq.Context() as context, context.socket(kind) as peer:
        peer.linger = 0
        if has_keys:  # not the kernel's
            peer.curve_publickey, peer.curve_secretkey = zmq.curve_keypair()
            peer.curve_serverkey, _ = zmq.curve_keypair()
        monitor = peer.get_monitor_socket()
        monitor.rcvtimeo = 10_000
        peer.connect(f"tcp://127.0.0.1:{port}")
        while True:
            event = recv_monitor_message(monitor)["event"]
            if event in {*REFUSED, zmq.EVENT_HANDSHAKE_SUCCEEDED}:
                peer.disable_monitor()
                monitor.close()
                return int(event)


@pytest.mark.parametrize("is_early", [True, False], ids=["started early", "started by its spec"])
def test_no_port_of_a_kernel_lets_a_stranger_in(
    new_run: Callable[..., Job], tmp_path: Path, is_early: bool
) -> None:
    environment = {}
    if not is_early:  # a kernelspec with variables is left to jupyter_client
        folder = tmp_path / "jupyter" / "kernels" / "python3"
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(
            json.dumps(
                {
                    "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                    "env": {"ANY": "1"},
                    "display_name": "Python",
                    "language": "python",
                    "metadata": {"supported_encryption": ["curve"]},
                }
            )
        )
        environment["JUPYTER_PATH"] = str(tmp_path / "jupyter")
    run = new_run(WAITS)
    pod = run.pod(**environment)
    assert pod.stage_in() == 0
    pod.start()
    workspace = pod.folder / "workspace"
    until((workspace / "started").exists, "the cell runs")

    ports = listening_ports(pod)

    assert len(ports) == 6, "five of its connection file, one for what it forks"
    for port in ports:
        for kind in (zmq.SUB, zmq.DEALER, zmq.REQ, zmq.PUSH):
            for has_keys in (False, True):
                assert connect(port, kind, has_keys=has_keys) in REFUSED, (port, kind)
    # It is read by whoever connects, so nobody writes it anew.
    [file] = (pod.folder / "scratch").glob("jupyter-runtime-*/kernel-*.json")
    text = file.read_text()
    assert json.loads(text)["curve_publickey"]
    assert not is_early or text == json.dumps(json.loads(text)), "ipykernel writes it in lines"
    (workspace / "go").touch()
    assert pod.wait() == 0, pod.log


def test_what_a_forked_process_prints_is_in_the_notebook(new_run: Callable[..., Job]) -> None:
    run = new_run(
        "import multiprocessing\n"
        "child = multiprocessing.get_context('fork').Process(target=print, args=('of a child',))\n"
        "child.start(); child.join()"
    )

    assert run.run().exit_code == 0

    [cell] = json.loads(run.output("train.ipynb"))["cells"]
    assert "of a child" in "".join(text for out in cell["outputs"] for text in out["text"])
