"""Starts, stops and inspects a whole local cluster.

Each function works in any state: nothing running, everything running, or parts killed in between.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_kueue_local import processes
from jupyter_kueue_local.building import ensure_built
from jupyter_kueue_local.certificates import Certificates, ensure_certificates
from jupyter_kueue_local.errors import LocalClusterError
from jupyter_kueue_local.object_store import remove_sockets, write_bucket_folders
from jupyter_kueue_local.ports import await_free, listens
from jupyter_kueue_local.readiness import Readiness
from jupyter_kueue_local.starting import PartEndedError, Start
from jupyter_kueue_local.state_folder import LOCAL_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jupyter_kueue_local.building import ControlPlaneBuild
    from jupyter_kueue_local.state_folder import Settings, StateFolder

    Say = Callable[[str], None]

PART_NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kueue",
    "object-store",
    "node",
)
# The order of stopping: the node reports its pods' end to the API server, and an API server whose
# etcd stops first does not end.
_STOP_ORDER = (
    ("node",),
    ("kueue", "kube-scheduler", "kube-controller-manager", "object-store", "kube-apiserver"),
    ("etcd",),
)
_STOP_SECONDS = {"node": 4.0, "object-store": 3.0}
_DEFAULT_STOP_SECONDS = 1.5
_ENDING_SECONDS = 5.0
# How often ``up`` starts again because a part that was ready has stopped.
_TRIES = 3


@dataclass(frozen=True)
class PartStatus:
    """One line of ``status``; ``state`` is running, starting, failed or stopped."""

    name: str
    pid: int | None
    state: str
    port: int | None


@dataclass(frozen=True)
class ClusterStatus:
    """The whole of ``status``."""

    parts: list[PartStatus]
    ready: bool
    kubeconfig: str
    bucket: str


def start_cluster(
    folder: StateFolder,
    say: Say,
    *,
    gpus: int | None = None,
    images: Mapping[str, str] | None = None,
) -> None:
    """Start the cluster and return when everything is ready; harmless if it already is.

    Args:
        folder: the cluster's folder.
        say: called with one line for each step.
        gpus: how many GPUs the node has; None leaves the number unchanged.
        images: names of more images, each with the folder of its Python environment.

    Raises:
        LocalClusterError: a part cannot be built or does not start, with the reason.
    """
    if platform.system() != "Linux":
        raise LocalClusterError(
            "The local cluster runs on Linux only: use a Linux machine, or any other cluster that "
            "has Kueue."
        )
    build = ensure_built(say)
    with _private_files():
        folder.create()
        _start(folder, build, say, gpus, images or {})


def _start(
    folder: StateFolder,
    build: ControlPlaneBuild,
    say: Say,
    gpus: int | None,
    images: Mapping[str, str],
) -> None:
    with folder.locked(lambda: say("another command works on this cluster: waiting for it")):
        settings = folder.load_settings()
        if gpus is not None:
            settings.gpus = gpus
        settings.images.update(images)
        _replace_taken_ports(folder, settings, say)
        if not folder.part("etcd").exists():
            settings.applied.clear()
        folder.save_settings(settings)
        certificates = ensure_certificates(folder.certificates)
        write_bucket_folders(folder, settings)
        link = folder.programs / "kubectl"
        link.unlink(missing_ok=True)
        link.symlink_to(build.program("kubectl"))
        for tries_left in reversed(range(_TRIES)):
            try:
                Start(folder, settings, build, certificates, say).run()
            except PartEndedError as error:
                if not tries_left:
                    raise
                say(f"{error.message} Starting it again.")
            else:
                return


def stop_cluster(folder: StateFolder, say: Say) -> None:
    """Stop everything, runs included; all data stays.

    Raises:
        LocalClusterError: a process still exists after SIGKILL.
    """
    if not folder.exists:
        return
    with folder.locked(lambda: say("another command works on this cluster: waiting for it")):
        _stop_parts(folder, say)


def reset_cluster(folder: StateFolder, say: Say) -> None:
    """Stop everything and delete all data: objects, bucket, ports, certificates.

    Raises:
        LocalClusterError: the folder does not belong to a cluster.
    """
    if not folder.path.exists():
        return
    if not (folder.records.is_dir() and folder.logs.is_dir()):
        raise LocalClusterError(
            f"{folder.path} is not the folder of a local cluster, so nothing was removed."
        )
    with folder.locked(lambda: say("another command works on this cluster: waiting for it")):
        _stop_parts(folder, say)
        for entry in folder.path.iterdir():
            if entry.name == "lock":  # locked: another command may be waiting for it
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def cluster_status(folder: StateFolder) -> ClusterStatus:
    """Return which parts run and whether everything is ready, without changing anything."""
    settings = folder.load_settings()
    certificates = Certificates(folder.certificates)
    ready = Readiness(certificates, settings)
    checks: dict[str, Callable[[], bool]] = {
        "etcd": ready.etcd,
        "kube-apiserver": ready.kube_apiserver,
        "kube-controller-manager": ready.kube_controller_manager,
        "kube-scheduler": ready.kube_scheduler,
        "kueue": ready.kueue,
        "object-store": ready.object_store,
        "node": ready.node,
    }

    def look(name: str) -> PartStatus:
        process = processes.load(folder.records / name)
        port = settings.ports.get(name) or settings.ports.get(f"{name}-webhook")
        if process is None or port is None:
            return PartStatus(name, None, "stopped", port)
        if not process.alive:
            return PartStatus(name, None, "failed", port)
        answers = listens(process.pid, port) and checks[name]()
        return PartStatus(name, process.pid, "running" if answers else "starting", port)

    with ThreadPoolExecutor(len(PART_NAMES)) as pool:
        parts = list(pool.map(look, PART_NAMES))
    return ClusterStatus(
        parts=parts,
        ready=all(part.state == "running" for part in parts),
        kubeconfig=str(folder.kubeconfig("user")),
        bucket=str(folder.bucket("default")),
    )


def is_api_server_up(folder: StateFolder) -> bool:
    """Tell whether the cluster's API server has a process that listens; one that starts may."""
    process = processes.load(folder.records / "kube-apiserver")
    port = folder.load_settings().ports.get("kube-apiserver")
    return process is not None and port is not None and listens(process.pid, port)


def cluster_environment(folder: StateFolder) -> dict[str, str]:
    """Return the environment variables with which programs use this cluster as its user.

    ``PATH`` is not included: prepend ``folder.programs`` to it to use the matching kubectl.

    Raises:
        LocalClusterError: no cluster was ever started in this folder.
    """
    if not folder.exists:
        raise LocalClusterError(
            f"There is no local cluster in {folder.path}: start one with `jupyter kueue local up`."
        )
    return {
        "KUBECONFIG": str(folder.kubeconfig("user")),
        "JUPYTER_KUEUE_BUCKET": str(folder.bucket("default")),
        "JUPYTER_KUEUE_IMAGE": LOCAL_IMAGE,
        "JUPYTER_KUEUE_RUNNER_IMAGE": LOCAL_IMAGE,
        "JUPYTER_KUEUE_LOCAL_DIR": str(folder.path),
    }


@contextmanager
def _private_files() -> Iterator[None]:
    """Make new files private to the user, for this process and all that it starts.

    The parts put files and sockets wherever they like, some of them into /tmp.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _replace_taken_ports(folder: StateFolder, settings: Settings, say: Say) -> None:
    """Choose all ports, and replace remembered ones on which another program listens."""
    for part in PART_NAMES:
        process = processes.load(folder.records / part)
        if process and process.alive:
            continue
        ports = settings.ports_of(part)
        # A killed process may still hold them for a moment; new ports would affect other parts.
        taken = await_free(ports.values(), _ENDING_SECONDS if process and process.ending else 0)
        for name, port in ports.items():
            if port in taken:
                say(f"port {port} is taken by another program: {name} gets another one")
                settings.forget_port(name)
    settings.complete()


def _stop_parts(folder: StateFolder, say: Say) -> None:
    for together in _STOP_ORDER:
        with ThreadPoolExecutor(len(together)) as pool:
            for line in pool.map(lambda name: _stop_part(folder, name), together):
                if line:
                    say(line)
    left = [process for process, _ in processes.find_marked(folder.path, folder.node)]
    if left:
        say(f"ending {len(left)} leftover processes")
    immortal = processes.kill_all(left, seconds=5)
    if immortal:
        pids = ", ".join(str(process.pid) for process in immortal)
        raise LocalClusterError(
            f"These processes do not end, even after SIGKILL: {pids}. See what they wait for "
            "(`ps -o pid,stat,wchan,args`), then run `jupyter kueue local down` again."
        )
    try:
        remove_sockets(folder.load_settings().ports)
    except LocalClusterError:  # `up` reports damaged settings; everything has stopped
        return


def _stop_part(folder: StateFolder, name: str) -> str:
    record = folder.records / name
    process = processes.load(record)
    line = ""
    if process and process.alive:
        started = time.monotonic()
        by_itself = process.stop(_STOP_SECONDS.get(name, _DEFAULT_STOP_SECONDS))
        how = "stopped" if by_itself else "stopped by force"
        line = f"{name}: {how} ({time.monotonic() - started:.1f} s)"
    record.unlink(missing_ok=True)
    return line
