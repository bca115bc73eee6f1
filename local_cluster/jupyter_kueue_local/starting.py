"""One ``up``: starts or repairs the parts and applies the objects in the API server.

Independent steps run at the same time; what is already in order is not touched.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local import processes
from jupyter_kueue_local.access import access_objects
from jupyter_kueue_local.errors import LocalClusterError
from jupyter_kueue_local.kubectl import apply_objects
from jupyter_kueue_local.kueue_installation import installation_objects, read_definitions
from jupyter_kueue_local.object_store import bucket_credentials, bucket_secret
from jupyter_kueue_local.parts import describe_parts, machine_capacity
from jupyter_kueue_local.ports import await_free, listens
from jupyter_kueue_local.quotas import quota_objects
from jupyter_kueue_local.readiness import Readiness
from jupyter_kueue_local.state_folder import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_kueue_local.building import ControlPlaneBuild
    from jupyter_kueue_local.certificates import Certificates
    from jupyter_kueue_local.parts import Part
    from jupyter_kueue_local.state_folder import Settings, StateFolder

    Say = Callable[[str], None]

_START_SECONDS = 120.0
# A running part that does not answer for this long is replaced.
_STUCK_SECONDS = 20.0
# A killed process has released its ports by then.
_PORTS_SECONDS = 10.0
_POLL_SECONDS = 0.05


class _GivenUpError(LocalClusterError):
    """A step was cancelled because another one failed."""


class PartEndedError(LocalClusterError):
    """A part that was ready ended, or was suspended, while others were still starting."""


class Start:
    """One ``up``, with independent steps at the same time."""

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
        self._running: dict[str, processes.Process] = {}

    def run(self) -> None:
        """Run all steps; the first failure is raised once everything else has ended.

        Raises:
            PartEndedError: a part did not keep running; another try fixes that.
            LocalClusterError: a part does not start.
        """
        parts = {
            part.name: part
            for part in describe_parts(
                self._folder, self._settings, self._build, self._certificates
            )
        }
        self._end_strays(parts)
        # Step -> the steps it needs. "manifests" and "quotas" are not processes.
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
            try:
                wait(done.values())
            except BaseException:  # Ctrl-C: do not wait for steps in progress
                self._failed.set()
                raise
        errors = [error for future in done.values() if (error := future.exception())]
        if errors:
            # The original failure, not the steps that were cancelled because of it.
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
        """End processes of parts that an interrupted command started but did not record."""
        recorded = [processes.load(self._folder.records / name) for name in parts]
        known = {process.pid for process in recorded if process and process.alive}
        strays = []
        for process, name in processes.find_marked(self._folder.path, self._folder.node):
            if process.pid in known or name not in parts:
                continue
            # The node's pods inherit its mark, and a restarted node adopts them.
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
                if not process.suspended and self._await_ready(part, process, _STUCK_SECONDS):
                    self._running[part.name] = process
                    return "already running"
                what = "did not answer, started again"
            else:
                what = "had other settings, started again"
            # A killed node agent adopts its pods after the restart; one that gets SIGTERM ends
            # them. A suspended process does not react to SIGTERM.
            at_once = part.name == "node" or process.suspended
            process.stop(0 if at_once else part.grace_seconds)
        elif process:
            what = "had ended, started again"
        held = await_free(part.ports, _PORTS_SECONDS)
        if held:
            raise LocalClusterError(
                f"{part.name} cannot be started: another process still listens on its port "
                f"{held[0]} of 127.0.0.1. See which (`ss -ltnp`), then run `jupyter kueue local "
                "up` again: where that is another program's, it chooses another port."
            )
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
        self._running[part.name] = process
        return what

    def _await_ready(self, part: Part, process: processes.Process, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while process.alive and time.monotonic() < deadline:
            if listens(process.pid, part.port) and part.ready():
                return True
            if self._failed.wait(_POLL_SECONDS):
                raise _GivenUpError(f"{part.name} was given up: another part failed.")
            self._check_running()
        return False

    def _check_running(self) -> None:
        """Raise if a part that was ready has stopped: other steps would wait for it in vain."""
        for name, process in tuple(self._running.items()):
            if not process.alive or process.suspended:
                raise PartEndedError(
                    f"{name} stopped while other parts were started; its log is {self._log(name)}."
                )

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
        """Apply a group of objects unless the same was applied before; return whether it was.

        An admin's later changes with kubectl therefore stay.
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
            self._check_running()
            if time.monotonic() > deadline:
                raise LocalClusterError(
                    f"{what} is not served. See the logs of kube-apiserver and kueue in "
                    f"{self._folder.logs}, and run `jupyter kueue local up` again."
                )


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(nothing)"
