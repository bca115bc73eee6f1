"""What the wheel carries: everything that runs, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "jupyter_kueue"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_it_carries_every_file_of_the_package(wheel: zipfile.ZipFile):
    sources = {
        path.relative_to(REPOSITORY).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__", "labextension"} & {*path.parts}
    }
    carried = {name for name in wheel.namelist() if name.startswith("jupyter_kueue/")}
    assert carried == sources
    for needed in (
        "server/openapi.yaml",
        "local/controlplane/go.mod",
        "local/controlplane/go.sum",
        "local/manifests/namespace-user.yaml",
        "local/manifests/quota-reader.yaml",
        "local/manifests/node.yaml",
        "runner/notebook/execute.py",
        "py.typed",
    ):
        assert f"jupyter_kueue/{needed}" in carried
    assert any(name.startswith("jupyter_kueue/events/schemas/") for name in carried)


def test_it_switches_the_server_extension_on(wheel: zipfile.ZipFile):
    config = next(name for name in wheel.namelist() if name.endswith("/jupyter_kueue.json"))
    assert ".data/data/etc/jupyter/jupyter_server_config.d/" in config
    extensions = json.loads(wheel.read(config))["ServerApp"]["jpserver_extensions"]
    assert extensions == {"jupyter_kueue": True}


LABEXTENSION = "/share/jupyter/labextensions/jupyter-kueue/"
# A third of it is what the server says, for translations.
MOST_LABEXTENSION_BYTES = 200_000


def test_it_carries_the_labextension_of_the_same_version_and_a_small_one(wheel: zipfile.ZipFile):
    files = {
        info.filename.partition(LABEXTENSION)[2]: info
        for info in wheel.infolist()
        if LABEXTENSION in info.filename
    }
    package = json.loads(wheel.read(files["package.json"]))
    version = re.search(r"-([0-9][^-]*)-py3", Path(str(wheel.filename)).name)
    assert version is not None
    assert package["version"] == version[1]
    assert package["jupyterlab"]["_build"]["load"] in files
    assert json.loads(wheel.read(files["install.json"]))["packageName"] == "jupyter-kueue"
    scripts = [info for name, info in files.items() if name.endswith(".js")]
    assert sum(info.file_size for info in scripts) < MOST_LABEXTENSION_BYTES


def test_it_makes_this_jupyter_schedulers_backend(wheel: zipfile.ZipFile):
    name = "etc/jupyter/jupyter_jupyter_scheduler_config.py"
    carried = next(item for item in wheel.namelist() if item.endswith(f".data/data/{name}"))
    assert wheel.read(carried).decode() == (REPOSITORY / name).read_text()
    points = next(item for item in wheel.namelist() if item.endswith("/entry_points.txt"))
    assert "[jupyter_scheduler.backends]\nkueue = " in wheel.read(points).decode()


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile):
    folders = {name.split("/")[0] for name in wheel.namelist()}
    stem = "jupyter_kueue-"
    assert {folder for folder in folders if not folder.startswith(stem)} == {"jupyter_kueue"}
    allowed = (".py", ".typed", ".yaml", ".json", ".mod", ".sum")
    odd = [
        name
        for name in wheel.namelist()
        if name.startswith("jupyter_kueue/") and not name.endswith(allowed)
    ]
    assert not odd


def test_its_programs_and_license_are_there(wheel: zipfile.ZipFile):
    names = wheel.namelist()
    info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    assert f"{info}/licenses/LICENSE" in names
    assert (
        "jupyter-kueue = jupyter_kueue.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    )
