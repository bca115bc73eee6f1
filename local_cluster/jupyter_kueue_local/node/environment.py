"""How a container is started: command line, environment, working directory.

From the agent's own environment it gets only the variables that programs on this machine need to
reach the network. Rules of references and expansion:
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue_local.node import downward, host_processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jupyter_kueue_local.node.path_mapping import PathMapping
    from jupyter_kueue_local.node.pod_folder import PodFolder
    from jupyter_kueue_local.node.references import References

Json = dict[str, Any]

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
# How this machine reaches the network; on a real node, images or pods configure this.
_PASSED_THROUGH = (
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    *_PROXIES,
    *(name.upper() for name in _PROXIES),
)


class LaunchError(errors.JupyterKueueError):
    """The container's spec cannot be started."""


@dataclass(frozen=True)
class Launch:
    """A container ready to start; all paths are the host's."""

    command: list[str]
    environment: dict[str, str]
    working_dir: str
    mapping: PathMapping


@dataclass(frozen=True)
class Surroundings:
    """What a container's environment depends on besides its spec.

    Attributes:
        address: the node's and the pod's.
        capacity: the node's resources, for limits that are not set.
        prefix: the image's Python environment.
        gpus: the container's devices.
        attempt: the folder of this start, which contains the default working directory.
        temporary: TMPDIR.
    """

    folder: PodFolder
    attempt: Path
    temporary: Path
    address: str
    capacity: Mapping[str, str]
    prefix: Path
    gpus: list[int]


async def read_variables(
    pod: Json, container: Json, references: References, around: Surroundings
) -> dict[str, str]:
    """Return the container's variables from the pod's spec, with paths not yet mapped.

    Raises:
        MissingReferenceError, UnsupportedFieldError: the container cannot be created (yet).
    """
    values: dict[str, str] = {}
    for source in container.get("envFrom", []):
        values.update(await _read_source(source, references))
    for variable in container.get("env", []):
        if "valueFrom" in variable:
            value = await _read_value(variable["valueFrom"], pod, container, references, around)
            if value is not None:
                values[variable["name"]] = value
        else:
            values[variable["name"]] = expand(variable.get("value", ""), values)
    return values


def prepare(
    pod: Json,
    container: Json,
    variables: Mapping[str, str],
    mapping: PathMapping,
    around: Surroundings,
) -> Launch:
    """Return how to start the container.

    Raises:
        LaunchError: there is no command, or a text contains a NUL.
    """
    # References are expanded first and paths mapped once: a host path must not be mapped again.
    words = [*container.get("command", []), *container.get("args", [])]
    if not words:
        raise LaunchError(
            foreign(
                f'failed to generate container "{container["name"]}" spec: no command specified: '
                "an image of this node is a Python environment without an entrypoint, so set "
                "`command`"
            )
        )
    if any("\0" in text for text in (*words, *variables.values())):
        raise LaunchError(
            foreign(
                f'container "{container["name"]}" has a NUL character in its command, arguments or '
                "environment, which no process can be given: remove it"
            )
        )
    working_dir = container.get("workingDir")
    return Launch(
        command=[mapping.apply(expand(word, variables)) for word in words],
        environment={
            **_base_environment(pod, around),
            **{name: mapping.apply(value) for name, value in variables.items()},
        },
        working_dir=mapping.apply(working_dir) if working_dir else str(around.attempt / "work"),
        mapping=mapping,
    )


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by the variable's value; ``$$`` is a dollar, unknown names stay.

    Source: ``k8s.io/kubernetes/third_party/forked/golang/expansion/expand.go``.
    """
    result: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        following = text[position + 1 : position + 2]
        end = text.find(")", position) if following == "(" else -1
        if character == "$" and following == "$":
            result.append("$")
            position += 2
        elif character == "$" and end > 0:
            reference = text[position : end + 1]
            result.append(variables.get(reference[2:-1], reference))
            position = end + 1
        else:
            result.append(character)
            position += 1
    return "".join(result)


def _base_environment(pod: Json, around: Surroundings) -> dict[str, str]:
    devices = ",".join(map(str, around.gpus))
    environment = {name: os.environ[name] for name in _PASSED_THROUGH if name in os.environ}
    environment.setdefault("LANG", "C.UTF-8")
    environment.update(
        PATH=f"{around.prefix}/bin:{_SYSTEM_PATH}",
        HOME=str(around.folder.home),
        TMPDIR=str(around.temporary),
        HOSTNAME=pod["spec"].get("hostname") or pod["metadata"]["name"],
        CUDA_VISIBLE_DEVICES=devices,
        **{host_processes.MARK: str(around.attempt)},
    )
    if devices:
        environment["NVIDIA_VISIBLE_DEVICES"] = devices
    return environment


async def _read_source(source: Json, references: References) -> dict[str, str]:
    prefix = source.get("prefix", "")
    if "secretRef" in source:
        reference = source["secretRef"]
        data = await references.secret(reference["name"], optional=bool(reference.get("optional")))
    else:
        reference = source["configMapRef"]
        data = await references.config_map(
            reference["name"], optional=bool(reference.get("optional"))
        )
    return {f"{prefix}{key}": value.decode(errors="replace") for key, value in data.items()}


async def _read_value(
    source: Json, pod: Json, container: Json, references: References, around: Surroundings
) -> str | None:
    if "fieldRef" in source:
        return downward.field_value(pod, source["fieldRef"]["fieldPath"], around.address)
    if "resourceFieldRef" in source:
        reference = source["resourceFieldRef"]
        owner = find_container(pod, reference.get("containerName")) or container
        return downward.resource_value(owner, reference, around.capacity)
    for kind, read in (
        ("secretKeyRef", references.secret_key),
        ("configMapKeyRef", references.config_map_key),
    ):
        if kind in source:
            reference = source[kind]
            value = await read(
                reference["name"], reference["key"], optional=bool(reference.get("optional"))
            )
            return None if value is None else value.decode(errors="replace")
    raise downward.UnsupportedFieldError(
        foreign(
            f"the local node does not support environment from {', '.join(source) or 'nothing'}"
        )
    )


def find_container(pod: Json, name: str | None) -> Json | None:
    """Return the spec of a container of the pod by name, None if it does not exist."""
    spec = pod["spec"]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if container["name"] == name:
            found: Json = container
            return found
    return None
