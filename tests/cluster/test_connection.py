"""Connections to the API server as a kubeconfig says."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.cluster.connection import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import LocalCluster


@pytest.mark.integration
async def test_no_private_key_is_left_in_a_temporary_folder(
    local_cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):  # the client remembers what it has written
        connection = await Connection.from_kubeconfig(local_cluster.admin_kubeconfig)
        try:
            assert _names_in(tmp_path) == []
            assert await connection.get("/api/v1/namespaces/default")
        finally:
            await connection.close()


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
