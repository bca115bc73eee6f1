"""What the wheel carries: everything that runs, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.wheels import build_wheel, entry_points_of, file_of, metadata_of, sources_of

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable

pytestmark = pytest.mark.programs

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"))


def test_it_carries_every_file_of_the_package(wheel: zipfile.ZipFile):
    carried = {name for name in wheel.namelist() if name.startswith("jupyter_kueue/")}
    assert carried == sources_of(REPOSITORY / "jupyter_kueue")
    for needed in ("runner/notebook/execute.py", "py.typed"):
        assert f"jupyter_kueue/{needed}" in carried
    assert any(name.startswith("jupyter_kueue/events/schemas/") for name in carried)


def test_it_switches_the_server_extension_on(wheel: zipfile.ZipFile):
    config = file_of(wheel, "/jupyter_kueue.json")
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
    assert package["version"] == metadata_of(wheel)["Version"]
    assert package["jupyterlab"]["_build"]["load"] in files
    assert json.loads(wheel.read(files["install.json"]))["packageName"] == "jupyter-kueue"
    scripts = [info for name, info in files.items() if name.endswith(".js")]
    assert sum(info.file_size for info in scripts) < MOST_LABEXTENSION_BYTES


def test_it_makes_this_jupyter_schedulers_backend(wheel: zipfile.ZipFile):
    name = "etc/jupyter/jupyter_jupyter_scheduler_config.py"
    carried = file_of(wheel, f".data/data/{name}")
    assert wheel.read(carried).decode() == (REPOSITORY / name).read_text()
    assert "[jupyter_scheduler.backends]\nkueue = " in entry_points_of(wheel)


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile):
    folders = {name.split("/")[0] for name in wheel.namelist()}
    stem = "jupyter_kueue-"
    assert {folder for folder in folders if not folder.startswith(stem)} == {"jupyter_kueue"}
    allowed = (".py", ".typed", ".yaml", ".json")
    odd = [
        name
        for name in wheel.namelist()
        if name.startswith("jupyter_kueue/") and not name.endswith(allowed)
    ]
    assert not odd


def test_the_local_cluster_is_not_in_it_but_an_extra_of_the_same_version(wheel: zipfile.ZipFile):
    package = [name for name in wheel.namelist() if name.startswith("jupyter_kueue/")]
    assert not [name for name in package if {"local", "node", "controlplane"} & {*name.split("/")}]
    source = "\n".join(wheel.read(name).decode() for name in package if name.endswith(".py"))
    for foreign in ("cryptography", "jupyter_kueue_local"):
        assert f"import {foreign}" not in source
        assert f"from {foreign}" not in source
    metadata = metadata_of(wheel)
    required = metadata.get_all("Requires-Dist") or []
    assert [item for item in required if "extra == 'local'" in item] == [
        f"jupyter-kueue-local=={metadata['Version']}; extra == 'local'"
    ]


@pytest.fixture(scope="module")
def command(
    wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``jupyter kueue`` of this wheel, beside all that is installed but the local cluster."""
    packages = tmp_path_factory.mktemp("packages")
    wheel.extractall(packages)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("jupyter_kueue"):
            (packages / path.name).symlink_to(path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            # Without -S, Python would add what is installed.
            [sys.executable, "-S", "-m", "jupyter_kueue.cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(packages)},
            cwd=packages,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_without_the_local_cluster_its_command_says_how_to_get_it(command):
    shown = command("--help")
    assert shown.returncode == 0, shown.stderr
    assert "import" in shown.stdout
    assert "local" not in shown.stdout
    for arguments in (["local"], ["local", "up", "--gpus", "2"], ["local", "--help"]):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert "pip install 'jupyter-kueue[local]'" in line


def test_its_programs_and_license_are_there(wheel: zipfile.ZipFile):
    assert file_of(wheel, ".dist-info/licenses/LICENSE")
    assert "jupyter-kueue = jupyter_kueue.cli:main" in entry_points_of(wheel)
