"""What the local cluster's wheel carries, and which product it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue import __version__
from tests.support.wheels import build_wheel, entry_points_of, file_of, metadata_of, sources_of

if TYPE_CHECKING:
    import zipfile

pytestmark = pytest.mark.programs

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build_wheel(PROJECT, tmp_path_factory.mktemp("wheel"))


def test_it_carries_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile):
    carried = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert carried == sources_of(PROJECT / "jupyter_kueue_local")
    for needed in (
        "controlplane/go.mod",
        "controlplane/go.sum",
        "manifests/namespace-user.yaml",
        "manifests/quota-reader.yaml",
        "manifests/node.yaml",
        "node/shim.py",
        "py.typed",
    ):
        assert f"jupyter_kueue_local/{needed}" in carried


def test_it_is_of_the_products_version_and_needs_just_that_one(wheel: zipfile.ZipFile):
    metadata = metadata_of(wheel)
    assert metadata["Version"] == __version__
    assert f"jupyter-kueue=={__version__}" in (metadata.get_all("Requires-Dist") or [])


def test_it_adds_the_command_and_has_its_license(wheel: zipfile.ZipFile):
    assert "[jupyter_kueue.commands]\nlocal = " in entry_points_of(wheel)
    assert wheel.read(file_of(wheel, ".dist-info/licenses/LICENSE")).decode() == (
        PROJECT.parent / "LICENSE"
    ).read_text(encoding="utf-8")
