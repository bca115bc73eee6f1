"""Pods on the local node, made and looked at with kubectl."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = dict[str, Any]

IMAGE = "jupyter-kueue/local:latest"


def container(name: str, script: str, **fields: Any) -> Json:
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **fields}


def pod_spec(*containers: Json, **fields: Any) -> Json:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "containers": list(containers),
        **fields,
    }


def pod(name: str, spec: Json, **metadata: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def simple_pod(name: str, script: str, **fields: Any) -> Json:
    """A pod with one container ``main`` that runs a shell script."""
    return pod(name, pod_spec(container("main", script), **fields))


def job(name: str, script: str, **fields: Any) -> Json:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": pod_spec(container("main", script))}, **fields},
    }


@dataclass(frozen=True)
class Pods:
    """The pods of one namespace."""

    cluster: Any
    namespace: str

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return str(self.cluster.kubectl("-n", self.namespace, *arguments, **options))

    def fails(self, *arguments: str) -> str:
        """Run a kubectl command that must fail, and return what it says."""
        with pytest.raises(AssertionError) as error:
            self.kubectl(*arguments)
        return str(error.value)

    def create(self, *objects: Json) -> None:
        body = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", input=json.dumps(body))

    def get(self, name: str, kind: str = "pod") -> Json:
        found: Json = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def wait(self, name: str, path: str, value: str, kind: str = "pod") -> Json:
        """Wait until a field of the object has a value, and return the object."""
        self.kubectl(
            "wait",
            f"{kind}/{name}",
            f"--for=jsonpath={{{path}}}={value}",
            "--timeout=60s",
        )
        return self.get(name, kind)

    def wait_for_phase(self, name: str, phase: str) -> Json:
        return self.wait(name, ".status.phase", phase)

    def wait_for_log(self, name: str, text: str) -> str:
        """Wait until the log of the container ``main`` holds a text, and return it so far."""
        with self.follow(name, text) as (seen, _):
            return seen

    @contextmanager
    def follow(self, name: str, text: str) -> Iterator[tuple[str, Callable[[], str]]]:
        """Follow a log; yields what came up to ``text``, and a function that returns the rest."""
        path = ".status.containerStatuses[0].containerID"
        self.kubectl("wait", f"pod/{name}", f"--for=jsonpath={{{path}}}", "--timeout=60s")
        following = subprocess.Popen(
            self.kubectl_command("logs", "-f", name, "-c", "main"),
            env=self.kubectl_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert following.stdout is not None
        seen = ""
        try:
            while text not in seen:
                line = following.stdout.readline()
                assert line, f"{text!r} is not in the log of {name}: {seen!r}"
                seen += line
            yield seen, following.stdout.read
        finally:
            following.kill()
            following.communicate()

    def kubectl_command(self, *arguments: str) -> list[str]:
        return [str(self.cluster.dir / "bin" / "kubectl"), "-n", self.namespace, *arguments]

    def kubectl_environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBECONFIG": str(self.cluster.admin_kubeconfig),
            "KUBECACHEDIR": str(self.cluster.dir / "kubectl-cache"),
        }

    def logs(self, name: str, *options: str) -> str:
        return self.kubectl("logs", name, *options)

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return (reason, message) of the events about a pod, oldest first."""
        listed = self.kubectl(
            "get", "events", "-o", "json", f"--field-selector=involvedObject.name={name}"
        )
        return [(e["reason"], e["message"]) for e in json.loads(listed)["items"]]

    def wait_for_event(self, name: str, reason: str, text: str = "") -> str:
        def find() -> str | None:
            messages = [m for r, m in self.events(name) if r == reason and text in m]
            return messages[0] if messages else None

        return str(until(find, f"event {reason} {text} of {name}"))

    def folder(self, name: str) -> Path:
        """Return the node's folder of a pod."""
        path: Path = self.cluster.dir / "node" / "pods" / self.get(name)["metadata"]["uid"]
        return path


def status_of(pod: Json, name: str = "main") -> Json:
    """Return the status of one container."""
    status = pod["status"]
    statuses = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found: Json = next(s for s in statuses if s["name"] == name)
    return found


def condition_of(pod: Json, kind: str) -> Json:
    found: Json = next((c for c in pod["status"]["conditions"] if c["type"] == kind), {})
    return found
