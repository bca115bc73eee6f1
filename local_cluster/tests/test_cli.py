from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import LocalCluster


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--gpus", "-1"], "a number from 0 to 1024"),
        (["up", "--gpus", "two"], "a number from 0 to"),
        (["up", "--image", "no-prefix"], "NAME=PREFIX"),
        (["up", "--image", "a=/nowhere"], "is not a Python environment"),
        (["sideways"], "invalid choice"),
    ],
)
def test_misuse_is_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["local", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_status_without_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["local", "status", "--dir", str(tmp_path / "none")]) == 1
    assert "`jupyter kueue local up`" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_down_and_reset_without_a_cluster_do_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert main(["local", "down", "--dir", str(folder)]) == 0
    assert main(["local", "reset", "--yes", "--dir", str(folder)]) == 0
    assert not folder.exists()


def test_damaged_settings_are_told_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("parts", "logs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "settings.json").write_text("{")
    assert main(["local", "status", "--dir", str(tmp_path)]) == 1
    assert "jupyter kueue local reset" in capsys.readouterr().err
    assert main(["local", "reset", "--yes", "--dir", str(tmp_path)]) == 0
    assert not (tmp_path / "settings.json").exists()


@pytest.mark.integration
@pytest.mark.parametrize(
    "arguments",
    [["get", "nodes", "-o", "name"], ["-n", "default", "get", "nodes", "-o", "name"]],
    ids=["command-first", "option-first"],
)
def test_kubectl_gets_its_arguments_as_they_are(
    local_cluster: LocalCluster, cli, arguments: list[str]
) -> None:
    done = cli("local", "kubectl", "--dir", str(local_cluster.dir), *arguments)
    assert done.stdout == "node/local-node\n"


@pytest.mark.integration
def test_kubectls_exit_code_and_message_are_kept(local_cluster: LocalCluster, cli) -> None:
    missing = cli("local", "kubectl", "--dir", str(local_cluster.dir), "get", "pod/no", check=False)
    assert missing.returncode == 1
    assert "NotFound" in missing.stderr


def test_the_environment_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUPYTER_KUEUE_LOCAL_DIR", str(tmp_path / "mine"))
    assert main(["local", "env"]) == 1
    assert str(tmp_path / "mine") in capsys.readouterr().err
    monkeypatch.delenv("JUPYTER_KUEUE_LOCAL_DIR")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    assert main(["local", "env"]) == 1
    assert str(tmp_path / "jupyter" / "kueue-local") in capsys.readouterr().err
