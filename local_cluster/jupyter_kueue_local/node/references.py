"""Reads the Secrets and ConfigMaps that a pod refers to.

A missing one raises ``MissingReferenceError`` in the kubelet's words; callers try again later,
because it may be created at any time.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from jupyter_kueue.cluster.connection import Connection

_NAMES = {"secrets": ("secret", "Secret"), "configmaps": ("configmap", "ConfigMap")}


class MissingReferenceError(errors.JupyterKueueError):
    """A Secret, a ConfigMap or a key of one does not exist (yet)."""


class References:
    """The Secrets and ConfigMaps of one namespace, each read once."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._read: dict[tuple[str, str], dict[str, bytes] | None] = {}

    async def secret(self, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """Return the data of a Secret; empty if it is missing and ``optional``.

        Raises:
            MissingReferenceError: it does not exist.
        """
        return await self._find("secrets", name, optional=optional)

    async def config_map(self, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """Return the data of a ConfigMap with its ``binaryData``; otherwise like ``secret``."""
        return await self._find("configmaps", name, optional=optional)

    async def secret_key(self, name: str, key: str, *, optional: bool = False) -> bytes | None:
        """Return one value of a Secret, None if it is missing and ``optional``.

        Raises:
            MissingReferenceError: the Secret or the key is missing.
        """
        return self._key("secrets", name, key, await self.secret(name, optional=optional), optional)

    async def config_map_key(self, name: str, key: str, *, optional: bool = False) -> bytes | None:
        """Return one value of a ConfigMap; otherwise like ``secret_key``."""
        data = await self.config_map(name, optional=optional)
        return self._key("configmaps", name, key, data, optional)

    def _key(
        self, kind: str, name: str, key: str, data: dict[str, bytes], optional: bool
    ) -> bytes | None:
        if key not in data and not optional:
            raise MissingReferenceError(
                foreign(f"couldn't find key {key} in {_NAMES[kind][1]} {self._namespace}/{name}")
            )
        return data.get(key)

    async def _find(self, kind: str, name: str, *, optional: bool) -> dict[str, bytes]:
        if (kind, name) not in self._read:
            self._read[kind, name] = await self._get(kind, name)
        data = self._read[kind, name]
        if data is None and not optional:
            raise MissingReferenceError(foreign(f'{_NAMES[kind][0]} "{name}" not found'))
        return data or {}

    async def _get(self, kind: str, name: str) -> dict[str, bytes] | None:
        path = f"/api/v1/namespaces/{self._namespace}/{kind}/{name}"
        try:
            found = await self._connection.get(path)
        except errors.NotFoundError:
            return None
        texts = found.get("data") or {}
        if kind == "secrets":
            return {key: base64.b64decode(text) for key, text in texts.items()}
        binary = found.get("binaryData") or {}
        return {
            **{key: text.encode() for key, text in texts.items()},
            **{key: base64.b64decode(text) for key, text in binary.items()},
        }
