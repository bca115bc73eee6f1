"""Provides a pod's volumes: folders of its own, or folders of the host.

A volume that cannot be mounted yet raises, and is tried again; ``admission`` refuses kinds that
this node cannot mount.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue_local.node import downward, environment
from jupyter_kueue_local.node.path_mapping import PathMapping
from jupyter_kueue_local.node.pod_folder import write_atomically
from jupyter_kueue_local.node.references import MissingReferenceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_kueue.cluster.connection import Connection
    from jupyter_kueue_local.node.pod_folder import PodFolder
    from jupyter_kueue_local.node.references import References

Json = dict[str, Any]

# The kinds of persistent volumes that are folders of this machine.
_LOCAL_VOLUME_KINDS = ("hostPath", "local")
_DEFAULT_MODE = 0o644
_TOKEN_SECONDS = 3600


class MountError(errors.JupyterKueueError):
    """A volume cannot be mounted now."""


class UnsupportedVolumeError(errors.JupyterKueueError):
    """This node can never mount the volume."""


@dataclass
class VolumeSources:
    """What the volumes of one pod are created from."""

    pod: Json
    folder: PodFolder
    connection: Connection
    references: References
    address: str
    capacity: Mapping[str, str]


async def prepare_volumes(sources: VolumeSources) -> dict[str, Path]:
    """Create or find every volume of the pod; return volume name -> host folder (or file).

    Repeatable: the contents of an emptyDir stay, files from API objects are updated.

    Raises:
        MountError: a volume does not exist yet or has the wrong type; try again later.
        UnsupportedVolumeError: a persistent volume is not a folder of this machine.
    """
    return {
        volume["name"]: await _prepare(volume, sources)
        for volume in sources.pod["spec"].get("volumes", [])
    }


def shows_objects(pod: Json) -> bool:
    """Return whether a volume shows data that may change: Secrets, ConfigMaps, labels, tokens."""
    kinds = ("secret", "configMap", "downwardAPI", "projected")
    return any(kind in volume for volume in pod["spec"].get("volumes", []) for kind in kinds)


def mount_path_mapping(
    container: Json,
    volumes: Mapping[str, Path],
    variables: Mapping[str, str],
    termination_log: Path,
) -> PathMapping:
    """Return the mapping of a container's mount paths, including its termination log.

    Raises:
        MountError: a ``subPath`` leads out of its volume.
    """
    mounts = {container.get("terminationMessagePath", "/dev/termination-log"): str(termination_log)}
    for mount in container.get("volumeMounts", []):
        host = volumes[mount["name"]]
        sub_path = mount.get("subPath") or environment.expand(
            mount.get("subPathExpr", ""), variables
        )
        if sub_path:
            if PurePosixPath(sub_path).is_absolute() or ".." in PurePosixPath(sub_path).parts:
                raise MountError(
                    foreign(f'subPath "{sub_path}" must stay within volume "{mount["name"]}"')
                )
            host = host / sub_path
            if not host.exists():
                host.mkdir(parents=True)
        mounts[mount["mountPath"]] = str(host)
    return PathMapping(mounts)


async def _prepare(volume: Json, sources: VolumeSources) -> Path:
    name: str = volume["name"]
    folder = sources.folder.volumes / name
    if "hostPath" in volume:
        return _host_path(name, volume["hostPath"])
    if "persistentVolumeClaim" in volume:
        return await _claimed(name, volume["persistentVolumeClaim"], sources)
    folder.mkdir(exist_ok=True, mode=0o700)
    if "emptyDir" in volume:
        folder.chmod(0o777)
        return folder
    kind = next(key for key in volume if key != "name")
    try:
        files = await _projection(kind, volume[kind], sources)
    except (MissingReferenceError, downward.UnsupportedFieldError) as error:
        raise MountError(
            foreign(f'MountVolume.SetUp failed for volume "{name}" : {error}')
        ) from error
    _write_files(folder, files)
    return folder


async def _projection(
    kind: str, source: Json, sources: VolumeSources
) -> dict[str, tuple[bytes, int]]:
    """Return path -> (content, mode) of a volume that shows objects as files."""
    mode = source.get("defaultMode", _DEFAULT_MODE)
    if kind == "projected":
        files: dict[str, tuple[bytes, int]] = {}
        for part in source.get("sources", []):
            for part_kind, part_source in part.items():
                within = {"defaultMode": mode, **part_source}
                files.update(await _projection(part_kind, within, sources))
        return files
    optional = bool(source.get("optional"))
    if kind == "secret":
        name = source.get("secretName") or source["name"]
        data = await sources.references.secret(name, optional=optional)
        return _items(f"secret {name}", data, source, mode)
    if kind == "configMap":
        data = await sources.references.config_map(source["name"], optional=optional)
        return _items(f"configmap {source['name']}", data, source, mode)
    if kind == "serviceAccountToken":
        token = await _service_account_token(source, sources)
        return {source["path"]: (token, 0o600)}
    return {
        item["path"]: (_downward_content(item, sources), item.get("mode", mode))
        for item in source.get("items", [])
    }


def _downward_content(item: Json, sources: VolumeSources) -> bytes:
    if "fieldRef" in item:
        path = item["fieldRef"]["fieldPath"]
        return downward.field_value(sources.pod, path, sources.address).encode()
    reference = item["resourceFieldRef"]
    container = environment.find_container(sources.pod, reference.get("containerName")) or {}
    return downward.resource_value(container, reference, sources.capacity).encode()


def _items(
    what: str, data: Mapping[str, bytes], source: Json, mode: int
) -> dict[str, tuple[bytes, int]]:
    if not source.get("items"):
        return {key: (value, mode) for key, value in data.items()}
    files = {}
    for item in source["items"]:
        if item["key"] in data:
            files[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not source.get("optional"):
            raise MissingReferenceError(
                foreign(f"{what} references non-existent key: {item['key']}")
            )
    return files


async def _service_account_token(source: Json, sources: VolumeSources) -> bytes:
    """Return a token of the pod's service account, bound to the pod (TokenRequest API)."""
    metadata, spec = sources.pod["metadata"], sources.pod["spec"]
    account = spec.get("serviceAccountName") or "default"
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    request: Json = {
        "expirationSeconds": source.get("expirationSeconds", _TOKEN_SECONDS),
        "boundObjectRef": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
    if source.get("audience"):
        request["audiences"] = [source["audience"]]
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": request}
    try:
        answer = await sources.connection.create(path, body)
    except (errors.NotFoundError, errors.ForbiddenError) as error:
        raise MissingReferenceError(
            foreign(
                f"failed to fetch token: {error}; set automountServiceAccountToken: false if the "
                "pod does not need one"
            )
        ) from error
    return str(answer["status"]["token"]).encode()


def _write_files(folder: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    wanted = {PurePosixPath(path).parts[0] for path in files}
    for entry in folder.iterdir():
        if entry.name not in wanted:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for path, (content, mode) in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content, mode)


def _host_path(name: str, source: Json) -> Path:
    path, kind = Path(source["path"]), source.get("type", "")
    try:
        if kind == "DirectoryOrCreate":
            path.mkdir(parents=True, exist_ok=True)
        elif kind == "FileOrCreate":
            path.touch()
    except OSError as error:
        raise MountError(
            foreign(f'MountVolume.SetUp failed for volume "{name}" : {error}')
        ) from error
    fits = {
        "": True,
        "Directory": path.is_dir(),
        "DirectoryOrCreate": path.is_dir(),
        "File": path.is_file(),
        "FileOrCreate": path.is_file(),
        "Socket": path.is_socket(),
        "CharDevice": path.is_char_device(),
        "BlockDevice": path.is_block_device(),
    }
    if not fits.get(kind, False):
        raise MountError(
            foreign(
                f'MountVolume.SetUp failed for volume "{name}" : hostPath type check failed: '
                f"{path} is not a {kind}"
            )
        )
    return path


async def _claimed(name: str, source: Json, sources: VolumeSources) -> Path:
    namespace = sources.pod["metadata"]["namespace"]
    claim_name = source["claimName"]
    try:
        claim = await sources.connection.get(
            f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim_name}"
        )
        volume_name = claim["spec"].get("volumeName")
        if not volume_name or claim.get("status", {}).get("phase") != "Bound":
            raise MountError(foreign(f'persistentvolumeclaim "{claim_name}" is not bound'))
        volume = await sources.connection.get(f"/api/v1/persistentvolumes/{volume_name}")
    except errors.NotFoundError as error:
        raise MountError(foreign(f'volume "{name}": {error}')) from error
    for kind in _LOCAL_VOLUME_KINDS:
        if kind in volume["spec"]:
            return _host_path(name, volume["spec"][kind])
    raise UnsupportedVolumeError(
        foreign(
            f'volume "{name}" is the persistent volume {volume_name}, which is no folder of this '
            "machine: the local node mounts hostPath and local persistent volumes only"
        )
    )
