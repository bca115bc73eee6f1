"""Starts, stops and looks at a local cluster as a whole.

``cli.local`` and the tests call ``start_cluster``, ``stop_cluster``, ``cluster_status``,
``reset_cluster`` and ``cluster_environment``. Each works whatever state it finds: nothing running,
everything running, or parts killed in between.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_kueue.errors import LocalClusterError
from jupyter_kueue.local import processes
from jupyter_kueue.local.access import access_objects
from jupyter_kueue.local.building import ensure_built
from jupyter_kueue.local.certificates import Certificates, ensure_certificates
from jupyter_kueue.local.kubectl import apply_objects
from jupyter_kueue.local.kueue_installation import installation_objects, read_definitions
from jupyter_kueue.local.object_store import (
    bucket_credentials,
    bucket_secret,
    remove_sockets,
    write_bucket_folders,
)
from jupyter_kueue.local.parts import describe_parts, machine_capacity
from jupyter_kueue.local.ports import is_free, listens
from jupyter_kueue.local.quotas import quota_objects
from jupyter_kueue.local.readiness import Readiness
from jupyter_kueue.local.state_folder import LOCAL_IMAGE, NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jupyter_kueue.local.building import ControlPlaneBuild
    from jupyter_kueue.local.parts import Part
    from jupyter_kueue.local.state_folder import Settings, StateFolder

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
# What is stopped together, first to last: the node reports its pods' end to the API server, and an
# API server whose etcd went first does not end.
_STOP_ORDER = (
    ("node",),
    ("kueue", "kube-scheduler", "kube-controller-manager", "object-store", "kube-apiserver"),
    ("etcd",),
)
_STOP_SECONDS = {"node": 4.0, "object-store": 3.0}
_DEFAULT_STOP_SECONDS = 1.5

_START_SECONDS = 60.0
# A part that runs and does not answer for this long is replaced.
_STUCK_SECONDS = 10.0
_POLL_SECONDS = 0.05


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
    """Bring the cluster up and return when all of it is ready; harmless when it is already.

    Args:
        folder: where the cluster lives.
        say: takes one line for each step.
        gpus: how many GPUs the node has; None leaves it as it is.
        images: names of more images, each with the folder of its Python environment.

    Raises:
        LocalClusterError: a part cannot be built or does not start; the message says why.
    """
    build = ensure_built(say)
    folder.create()
    with folder.locked(lambda: say("another command works on this cluster: waiting for it")):
        settings = folder.load_settings()
        if gpus is not None:
            settings.gpus = gpus
        settings.images.update(images or {})
        _replace_taken_ports(folder, settings, say)
        if not folder.part("etcd").exists():
            settings.applied.clear()
        folder.save_settings(settings)
        certificates = ensure_certificates(folder.certificates)
        write_bucket_folders(folder, settings)
        link = folder.programs / "kubectl"
        link.unlink(missing_ok=True)
        link.symlink_to(build.program("kubectl"))
        _Start(folder, settings, build, certificates, say).run()


def stop_cluster(folder: StateFolder, say: Say) -> None:
    """Stop everything, runs included; nothing is forgotten.

    Raises:
        LocalClusterError: a process is still there after SIGKILL.
    """
    if not folder.exists:
        return
    with folder.locked(lambda: say("another command works on this cluster: waiting for it")):
        _stop_parts(folder, say)


def reset_cluster(folder: StateFolder, say: Say) -> None:
    """Stop everything and forget all of it: objects, bucket, ports, certificates.

    Raises:
        LocalClusterError: the folder is not a cluster's.
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
            if entry.name == "lock":  # held: another command may wait for it
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def cluster_status(folder: StateFolder) -> ClusterStatus:
    """Return what runs and whether all of it is ready, without changing anything."""
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


def cluster_environment(folder: StateFolder) -> dict[str, str]:
    """Return the variables with which programs use this cluster as its user.

    ``PATH`` is not among them: put ``folder.programs`` in front of it to get the right kubectl.

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


def _owner_of(port: str) -> str:
    """Return the part that a port belongs to, for example ``kueue`` for ``kueue-webhook``."""
    return max((name for name in PART_NAMES if port.startswith(name)), key=len)


def _replace_taken_ports(folder: StateFolder, settings: Settings, say: Say) -> None:
    """Choose all ports, and others where somebody else listens on a part's remembered one."""
    running = {
        name
        for name in PART_NAMES
        if (process := processes.load(folder.records / name)) and process.alive
    }
    before = dict(settings.ports)
    for name, port in before.items():
        if _owner_of(name) not in running and not is_free(port):
            say(f"port {port} is taken by another program: {name} gets another one")
            settings.forget_port(name)
    settings.complete()


class _GivenUpError(LocalClusterError):
    """A step was not finished because another one failed."""


class _Start:
    """One ``up``: what is done in which order, as many things at once as do not need each other."""

    def __init__(
        self,
        folder: StateFolder,
        settings: Settings,
        build: ControlPlaneBuild,
        certificates: Certificates,
        say: Say,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._build = build
        self._say = say
        self._certificates = certificates
        self._ready = Readiness(certificates, settings)
        self._failed = threading.Event()
        self._settings_lock = threading.Lock()

    def run(self) -> None:
        """Do it all; the first failure is raised once everything else has ended."""
        parts = {
            part.name: part
            for part in describe_parts(
                self._folder, self._settings, self._build, self._certificates
            )
        }
        self._end_strays(parts)
        # Step -> the steps it needs. "manifests" and "quotas" are no processes.
        needs: dict[str, tuple[str, ...]] = {name: part.after for name, part in parts.items()}
        needs["manifests"] = ("kube-apiserver",)
        needs["quotas"] = ("kueue", "manifests")
        for name in ("kueue", "node"):
            if name in needs:
                needs[name] = (*needs[name], "manifests")
        needs["position API"] = ("kueue", "manifests")
        steps: dict[str, Callable[[], str]] = {
            name: partial(self._ensure_running, part) for name, part in parts.items()
        }
        steps["manifests"] = self._apply_manifests
        steps["quotas"] = self._apply_quotas
        steps["position API"] = self._await_position_api
        done: dict[str, Future[None]] = {name: Future() for name in steps}
        with ThreadPoolExecutor(len(steps)) as pool:
            for name, step in steps.items():
                pool.submit(
                    self._run_step, name, step, [done[n] for n in needs.get(name, ())], done
                )
        errors = [error for future in done.values() if (error := future.exception())]
        if errors:
            # What failed first, not what was given up because of it.
            raise min(errors, key=lambda error: isinstance(error, _GivenUpError))

    def _run_step(
        self,
        name: str,
        step: Callable[[], str],
        before: list[Future[None]],
        done: dict[str, Future[None]],
    ) -> None:
        try:
            for future in before:
                future.result()
            started = time.monotonic()
            outcome = step()
            if outcome:
                self._say(f"{name}: {outcome} ({time.monotonic() - started:.1f} s)")
            done[name].set_result(None)
        except BaseException as error:  # noqa: BLE001 - handed to run(), which raises it
            self._failed.set()
            done[name].set_exception(error)

    def _end_strays(self, parts: dict[str, Part]) -> None:
        """End processes of parts that an interrupted command started and never wrote down."""
        recorded = [processes.load(self._folder.records / name) for name in parts]
        known = {process.pid for process in recorded if process and process.alive}
        strays = []
        for process, name in processes.find_marked(self._folder.path, self._folder.node):
            if process.pid in known or name not in parts:
                continue
            # The node's pods inherit its mark, and a node that starts again looks after them.
            if name != "node" or process.command()[1:] == tuple(parts[name].command[1:]):
                strays.append(process)
        processes.kill_all(strays, seconds=5)

    def _ensure_running(self, part: Part) -> str:
        """Start the part unless it runs as it should; return what was done, for the user."""
        record = self._folder.records / part.name
        process = processes.load(record)
        what = "started"
        if process and process.alive:
            processes.limit_log(self._log(part.name))
            if process.fingerprint == part.fingerprint:
                if self._await_ready(part, process, _STUCK_SECONDS):
                    return "runs"
                what = "did not answer, started again"
            else:
                what = "had other settings, started again"
            # A node agent that is killed finds its pods again; one that is told to end, ends them.
            process.stop(0 if part.name == "node" else part.grace_seconds)
        elif process:
            what = "had ended, started again"
        process = processes.start(
            part.command,
            folder=self._folder.part(part.name),
            log=self._log(part.name),
            mark=f"{self._folder.path}:{part.name}",
            fingerprint=part.fingerprint,
            environment=part.environment,
        )
        processes.save(record, process)
        if not self._await_ready(part, process, _START_SECONDS):
            state = "does not answer" if process.alive else "ended at once"
            raise LocalClusterError(
                f"{part.name} {state}. Its log, {self._log(part.name)}, ends with:\n"
                + _tail(self._log(part.name))
            )
        return what

    def _await_ready(self, part: Part, process: processes.Process, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while process.alive and time.monotonic() < deadline:
            if listens(process.pid, part.port) and part.ready():
                return True
            if self._failed.wait(_POLL_SECONDS):
                raise _GivenUpError(f"{part.name} was given up: another part failed.")
        return False

    def _log(self, name: str) -> Path:
        return self._folder.logs / f"{name}.log"

    def _apply_manifests(self) -> str:
        manifests = self._build.kueue_manifests
        applied = self._apply_once(
            "definitions", lambda: read_definitions(manifests), self._build.folder.name
        )
        if applied:
            self._await_definitions(read_definitions(manifests))
        objects = installation_objects(manifests, self._certificates, self._settings.ports)
        objects += access_objects()
        for namespace in NAMESPACES.values():
            credentials = bucket_credentials(self._settings, namespace, namespace)
            objects.append(bucket_secret(namespace, credentials))
        applied |= self._apply_once("installation", lambda: objects, json.dumps(objects))
        return "Kueue's types, roles and webhooks applied" if applied else ""

    def _apply_quotas(self) -> str:
        cores, memory = machine_capacity()
        objects = quota_objects(gpus=self._settings.gpus, cores=cores, memory_bytes=memory)
        return "applied" if self._apply_once("quotas", lambda: objects, json.dumps(objects)) else ""

    def _apply_once(
        self, group: str, objects: Callable[[], list[dict[str, Any]]], content: str
    ) -> bool:
        """Apply a group of objects unless just that was applied before; return whether it was.

        So an administrator's later changes with kubectl stay.
        """
        digest = hashlib.sha256(content.encode()).hexdigest()
        if self._settings.applied.get(group) == digest:
            return False
        apply_objects(self._folder, objects())
        with self._settings_lock:
            self._settings.applied[group] = digest
            self._folder.save_settings(self._settings)
        return True

    def _await_definitions(self, definitions: list[dict[str, Any]]) -> None:
        names = [definition["metadata"]["name"] for definition in definitions]
        self._await(lambda: all(map(self._ready.established, names)), "one of Kueue's types")

    def _await_position_api(self) -> str:
        self._await(self._ready.position_api, "Kueue's position API")
        return ""

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            if self._failed.wait(_POLL_SECONDS):
                raise _GivenUpError(f"{what} was given up: a part failed.")
            if time.monotonic() > deadline:
                raise LocalClusterError(
                    f"{what} is not served. See the logs of kube-apiserver and kueue in "
                    f"{self._folder.logs}, and run `jupyter kueue local up` again."
                )


def _stop_parts(folder: StateFolder, say: Say) -> None:
    for together in _STOP_ORDER:
        with ThreadPoolExecutor(len(together)) as pool:
            for line in pool.map(lambda name: _stop_part(folder, name), together):
                if line:
                    say(line)
    left = [process for process, _ in processes.find_marked(folder.path, folder.node)]
    if left:
        say(f"ending {len(left)} processes that were left over")
    immortal = processes.kill_all(left, seconds=5)
    if immortal:
        pids = ", ".join(str(process.pid) for process in immortal)
        raise LocalClusterError(
            f"These processes do not end, not even by SIGKILL: {pids}. See what they wait for "
            "(`ps -o pid,stat,wchan,args`), then run `jupyter kueue local down` again."
        )
    try:
        remove_sockets(folder.load_settings().ports)
    except LocalClusterError:  # damaged settings are for `up` to tell; everything has stopped
        return


def _stop_part(folder: StateFolder, name: str) -> str:
    record = folder.records / name
    process = processes.load(record)
    line = ""
    if process and process.alive:
        started = time.monotonic()
        by_itself = process.stop(_STOP_SECONDS.get(name, _DEFAULT_STOP_SECONDS))
        how = "stopped" if by_itself else "killed"
        line = f"{name}: {how} ({time.monotonic() - started:.1f} s)"
    record.unlink(missing_ok=True)
    return line


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(nothing)"
