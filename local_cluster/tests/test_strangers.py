"""The cluster belongs to the user who started it: all other users of the machine are refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue_local import processes
from jupyter_kueue_local.state_folder import StateFolder

if TYPE_CHECKING:
    from conftest import LocalCluster

pytestmark = pytest.mark.integration

NOBODY = 65534
LISTEN = "0A"
REFUSALS = {400, 401, 403, 405}
# Health with an empty body: obstore does not support client certificates, so this port must be
# open.
LIVES = ("GET /healthz", "GET /readyz", "GET /status")


def pids(cluster: LocalCluster) -> list[int]:
    marked = processes.find_marked(cluster.dir, cluster.dir / "node")
    return [process.pid for process, part in marked if part]


def socket_inodes(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # it has just been closed
            continue
        if target.startswith("socket:["):
            found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found


def listening_ports(cluster: LocalCluster) -> dict[int, str]:
    """Return each TCP port on which a process of the cluster listens, with its address."""
    mine = set().union(*(socket_inodes(pid) for pid in pids(cluster)))
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].rpartition(":")
            if fields[3] == LISTEN and fields[9] in mine:
                found[int(port, 16)] = address
    return found


def listening_sockets(cluster: LocalCluster) -> list[Path]:
    """Return the paths of the Unix sockets on which a process of the cluster listens."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    found = []
    for pid in pids(cluster):
        mine = socket_inodes(pid)
        folder = Path(f"/proc/{pid}/cwd").readlink()
        found += [folder / f[7] for f in lines if len(f) == 8 and f[6] in mine and f[3][3] == "1"]
    return found


def ask_as_a_stranger(ports: list[int]) -> list[dict[str, Any]]:
    uid = NOBODY if os.getuid() == 0 else os.getuid()
    program = Path(__file__).with_name("stranger.py")
    said = subprocess.run(
        [sys.executable, str(program), str(uid), *map(str, ports)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def test_no_port_answers_a_stranger_with_anything_but_a_refusal(
    local_cluster: LocalCluster,
) -> None:
    ports = listening_ports(local_cluster)
    named = {
        port: name for name, port in StateFolder(local_cluster.dir).load_settings().ports.items()
    }
    # Loopback only, in the byte order of /proc/net/tcp.
    assert set(ports.values()) == {"0100007F"}
    assert set(ports) <= set(named), "a port that nobody chose"
    assert len(ports) >= 15
    answers = ask_as_a_stranger(sorted(ports))
    assert answers, "not even a refusal: was anything asked?"
    harm = [
        {**answer, "port": named[answer["port"]]}
        for answer in answers
        if answer.get("status") not in REFUSALS
        and not (
            named[answer["port"]] == "object-store"
            and answer.get("asked") in LIVES
            and not answer["body"]
        )
    ]
    assert not harm
    assert "http://page.example" not in {answer.get("allowed_origin") for answer in answers}


def test_no_socket_can_be_opened_by_a_stranger(local_cluster: LocalCluster) -> None:
    sockets = listening_sockets(local_cluster)
    assert sockets
    for path in sockets:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_no_secret_stands_in_a_command_line(local_cluster: LocalCluster) -> None:
    secrets = StateFolder(local_cluster.dir).load_settings().secrets
    for pid in pids(local_cluster):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        assert not [name for name, secret in secrets.items() if secret in line], line
