"""A run in the bucket, and pods that run it: processes with folders for volumes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyter_kueue
from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import errors
from jupyter_kueue.runner.shared import stage_in_lock
from jupyter_kueue.storage.bucket import Bucket
from tests.support.notebooks import notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from tests.support.object_store import Seaweed

PACKAGE_PARENT = str(Path(jupyter_kueue.__file__).parents[1])
EXPORT_VOLUMES = {
    pod_contract.ENV_EXPORT_REQUEST_DIR: "export-request",
    pod_contract.ENV_EXPORT_DIR: "export",
}
VOLUMES = {
    pod_contract.ENV_CONTROL_DIR: "control",
    pod_contract.ENV_WORKSPACE_DIR: "workspace",
    pod_contract.ENV_RUNNER_DIR: "runner",
    pod_contract.ENV_CHECKPOINT_DIR: "checkpoints",
    pod_contract.ENV_SCRATCH_DIR: "scratch",
}


class Job:
    """What the server leaves in the bucket for one run, and the pods that are its attempts."""

    def __init__(
        self,
        seaweed: Seaweed,
        folder: Path,
        *cells: Any,
        name: str = "train.ipynb",
        files: dict[str, bytes] | None = None,
        content: bytes | None = None,
        metadata: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        **request: Any,
    ) -> None:
        self.id = str(uuid.uuid4())
        self.seaweed = seaweed
        self.folder = folder
        self.environment = environment or {}
        self.prefix = pod_contract.run_prefix("alice", self.id)
        self.bucket = Bucket.open("s3://outputs", seaweed.options())
        self.name = name
        self.formats = request.get("output_formats") or [pod_contract.NOTEBOOK_FORMAT]
        self.kernel_name = request.get("kernel_name") or pod_contract.DEFAULT_KERNEL
        self.credentials = credentials
        self.pods: list[Pod] = []
        inputs = {name: content or notebook(*cells, **(metadata or {})), **(files or {})}
        record = {
            "version": 1,
            "run_id": self.id,
            "name": name,
            "owner": {"name": "alice", "slug": "alice"},
            "created_at": "2026-01-01T00:00:00Z",
            "request": {"input_path": name, "output_formats": ["ipynb"], **request},
            "notebook": name,
            "input": [
                {
                    "path": path,
                    "size_bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
                for path, data in inputs.items()
            ],
        }

        async def put() -> None:
            for path, data in inputs.items():
                await self.bucket.put_bytes(f"{self.prefix}input/{path}", data)
            await self.bucket.put_json(self.prefix + pod_contract.RECORD_KEY, record)

        asyncio.run(put())

    def pod(self, **environment: str) -> Pod:
        pod = Pod(self, self.environment | environment)
        self.pods.append(pod)
        return pod

    def run(self, **environment: str) -> Pod:
        """Run one attempt to its end."""
        pod = self.pod(**environment)
        assert pod.stage_in() == 0, pod.termination_message
        pod.start()
        pod.wait()
        pod.stop_sidecar()
        return pod

    def read(self, key: str) -> bytes | None:
        try:
            return asyncio.run(self.bucket.get_bytes(self.prefix + key, max_bytes=2**30))
        except errors.NotFoundError:
            return None

    def read_json(self, key: str) -> Any:
        data = self.read(key)
        return None if data is None else json.loads(data)

    @property
    def result(self) -> Any:
        return self.read_json(pod_contract.RESULT_KEY)

    def output(self, path: str) -> bytes:
        data = self.read(pod_contract.OUTPUT_PREFIX + path)
        assert data is not None, path
        return data

    def keys(self, prefix: str = "") -> list[str]:
        found = asyncio.run(self.bucket.list(self.prefix + prefix))
        return [meta.key.removeprefix(self.prefix) for meta in found]

    def end(self) -> None:
        for pod in self.pods:
            pod.kill()


class Pod:
    """One attempt."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        self.job = job
        self.uid = str(uuid.uuid4())
        self.folder = job.folder / self.uid
        bucket = self.folder / "bucket"
        bucket.mkdir(parents=True)
        options = job.seaweed.options(*([job.credentials] if job.credentials else []))
        for name, value in {"url": "s3://outputs", **options}.items():
            (bucket / name).write_text(value)
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.environment = clean | {
            pod_contract.ENV_RUN_ID: job.id,
            pod_contract.ENV_OWNER: "alice",
            pod_contract.ENV_POD_UID: self.uid,
            pod_contract.ENV_NOTEBOOK: job.name,
            pod_contract.ENV_KERNEL_NAME: job.kernel_name,
            pod_contract.ENV_POD_NAME: f"pod-{self.uid[:5]}",
            pod_contract.ENV_GRACE_PERIOD: "20",
            pod_contract.ENV_TERMINATION_LOG: str(self.folder / "termination-log"),
        }
        for variable, name in VOLUMES.items():
            (self.folder / name).mkdir()
            self.environment[variable] = str(self.folder / name)
        self.environment |= environment
        exports = {}
        if self.job.formats != [pod_contract.NOTEBOOK_FORMAT]:
            for variable, name in EXPORT_VOLUMES.items():
                (self.folder / name).mkdir()
                exports[variable] = str(self.folder / name)
        self.staging = (
            self.environment
            | exports
            | {
                pod_contract.ENV_BUCKET_DIR: str(bucket),
                pod_contract.ENV_RUNNER_IMAGE: "example.org/runner:1",
                "PYTHONPATH": PACKAGE_PARENT,
            }
        )
        self.export_environment = exports | {
            name: self.staging[name]
            for name in (pod_contract.ENV_RUNNER_IMAGE, pod_contract.ENV_TERMINATION_LOG, "PATH")
        }
        self.processes: list[subprocess.Popen[str]] = []

    def start_python(
        self, command: list[str], environment: dict[str, str]
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def start_stage_in(self) -> subprocess.Popen[str]:
        return self.start_python(["-c", pod_contract.STAGING_PROGRAM, "stage_in"], self.staging)

    def stage_in(self) -> int:
        """Run stage-in until its work is done, and return its code as it is at the pod's end."""
        return self.end_stage_in(self.start_stage_in())

    def end_stage_in(self, process: subprocess.Popen[str]) -> int:
        folder = self.folder / "runner"
        until(
            lambda: process.poll() is not None or stage_in_lock.is_held(folder) is False,
            "stage-in is done",
            seconds=60,
        )
        process.terminate()
        self.said, _ = process.communicate(timeout=60)
        return process.returncode

    def start_sidecar(self) -> None:
        self.sidecar = self.start_python(
            ["-c", pod_contract.STAGING_PROGRAM, "stage_out"], self.staging
        )

    def start_export(self) -> None:
        """Start the container for exports, if the run's formats ask for it."""
        if pod_contract.ENV_EXPORT_DIR in self.export_environment:
            program = ["-I", "-c", pod_contract.STAGING_PROGRAM, "export"]
            self.export = self.start_python(program, self.export_environment)

    def start(self, *python_options: str) -> None:
        """Start the containers beside stage-in."""
        self.start_sidecar()
        self.start_export()
        self.start_notebook(*python_options)

    def start_notebook(self, *python_options: str) -> None:
        program = [*python_options, "-c", pod_contract.EXECUTE_PROGRAM]
        self.notebook = self.start_python(program, self.environment)

    def wait(self, seconds: float = 60) -> int:
        """Wait for the notebook container's end and return its exit code."""
        self.log, _ = self.notebook.communicate(timeout=seconds)
        return self.notebook.returncode

    @property
    def exit_code(self) -> int:
        return int(self.notebook.returncode)

    def stop_sidecar(self, code: int = pod_contract.EXIT_SUCCEEDED) -> str:
        """Stop the sidecar as a kubelet does, and return what it said."""
        self.sidecar.send_signal(signal.SIGTERM)
        said, _ = self.sidecar.communicate(timeout=30)
        # The signal may come before its work begins, where execute had nothing to do.
        ends = (code, pod_contract.EXIT_INTERRUPTED, -signal.SIGTERM)
        assert self.sidecar.returncode in ends, said
        return said

    @property
    def termination_message(self) -> str:
        path = self.folder / "termination-log"
        return path.read_text() if path.exists() else ""

    @property
    def attempt(self) -> Any:
        return self.job.read_json(f"{pod_contract.ATTEMPTS_PREFIX}{self.uid}.json")

    def control(self, name: str) -> Any:
        """Return what a file of the control folder holds, or of the runner folder."""
        for folder in ("control", "runner"):
            path = self.folder / folder / name
            if path.exists():
                return json.loads(path.read_text())
        return None

    def kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
