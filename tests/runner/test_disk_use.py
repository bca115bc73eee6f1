"""What a pod has written, measured as a kubelet does, against what it may write."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.notebook import disk_use
from jupyter_kueue.runner.notebook.disk_use import DiskWatch, Limits, Use

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits({}), None),
        (Limits({"workspace": 70 * MIB}, 20 * MIB, 200 * MIB), None),
        (Limits({"workspace": 60 * MIB - 1}), "its volume workspace may hold 60 MiB"),
        (Limits({}, 10 * MIB - 1), "its container may use 10 MiB"),
        (Limits({}, None, 75 * MIB), "it may use 75 MiB of its machine's disk"),
        (Limits({"scratch": 0}), "its volume scratch may hold 0 bytes"),
    ],
)
def test_what_is_beyond_its_limit_is_named(limits: Limits, words: str | None) -> None:
    use = Use({"workspace": 60 * MIB, "scratch": 6 * MIB}, 10 * MIB)
    found = limits.excess(use)
    assert (words is None) == (found is None)
    assert (words or "") in (found or "")


def test_blocks_count_links_are_not_followed_and_names_of_one_file_count_once(
    tmp_path: Path,
) -> None:
    volume = tmp_path / "volume"
    (volume / "deep" / "deeper").mkdir(parents=True)
    (volume / "deep" / "deeper" / "file").write_bytes(os.urandom(MIB))
    os.link(volume / "deep" / "deeper" / "file", volume / "again")
    with (volume / "sparse").open("wb") as sparse:
        sparse.truncate(2**40)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(os.urandom(5 * MIB))
    (volume / "link").symlink_to(outside)
    (volume / "file-link").symlink_to(outside / "large")
    os.mkfifo(volume / "pipe")
    assert MIB <= disk_use.size_of([str(volume)]) < 1.2 * MIB
    assert disk_use.size_of([str(tmp_path / "not-there")]) == 0


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, variable in (
        ("control", pod_contract.ENV_CONTROL_DIR),
        ("runner", pod_contract.ENV_RUNNER_DIR),
        ("workspace", pod_contract.ENV_WORKSPACE_DIR),
        ("checkpoints", pod_contract.ENV_CHECKPOINT_DIR),
        ("scratch", pod_contract.ENV_SCRATCH_DIR),
    ):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch" / "tmp"))
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(disk_use, "LOOK_SECONDS", 0.01)
    return tmp_path


def excess_of(watched: threading.Event, watch: DiskWatch) -> str | None:
    return watch.excess if watched.wait(20) else None


def test_a_volume_that_outgrows_its_size_is_noticed(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pod_contract.ENV_VOLUME_LIMITS, '{"scratch": 1048576}')
    noticed = threading.Event()
    watch = DiskWatch(noticed.set)
    watch.start()
    assert not noticed.is_set()
    (volumes / "scratch" / "large").write_bytes(os.urandom(2 * MIB))
    assert "its volume scratch may hold 1 MiB" in str(excess_of(noticed, watch))


def test_the_limits_of_all_containers_hold_for_all_volumes(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in ("", "_1", "_2"):
        monkeypatch.setenv(pod_contract.ENV_DISK_LIMIT + suffix, str(MIB))
    for name in ("workspace", "checkpoints"):
        (volumes / name / "large").write_bytes(os.urandom(2 * MIB))
    noticed = threading.Event()
    watch = DiskWatch(noticed.set)
    watch.start()
    assert "it may use 3 MiB of its machine's disk" in str(excess_of(noticed, watch))


def test_what_the_node_has_is_no_limit(volumes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(volumes)
    allocatable = str(int(disk.f_blocks * disk.f_frsize * 0.9))
    for suffix in ("", "_1", "_2"):
        monkeypatch.setenv(pod_contract.ENV_DISK_LIMIT + suffix, allocatable)
    watch = DiskWatch(lambda: None)
    before = threading.active_count()
    watch.start()
    assert threading.active_count() == before


def test_a_limit_beside_containers_without_one_is_the_pods(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = os.statvfs(volumes)
    monkeypatch.setenv(pod_contract.ENV_DISK_LIMIT, str(MIB))
    monkeypatch.setenv(f"{pod_contract.ENV_DISK_LIMIT}_1", str(disk.f_blocks * disk.f_frsize))
    (volumes / "workspace" / "large").write_bytes(os.urandom(2 * MIB))
    noticed = threading.Event()
    watch = DiskWatch(noticed.set)
    watch.start()
    assert "it may use 1 MiB" in str(excess_of(noticed, watch))


def test_what_the_image_brought_along_is_not_the_notebooks(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (volumes / "home" / "of-the-image").write_bytes(os.urandom(5 * MIB))
    monkeypatch.setenv(pod_contract.ENV_DISK_LIMIT, str(2 * MIB))
    noticed = threading.Event()
    looked = threading.Event()
    measure = disk_use.size_of

    def size_of(folders: list[str]) -> int:
        size = measure(folders)
        if str(volumes / "scratch") in folders:  # the last volume of a look
            looked.set()
        return size

    monkeypatch.setattr(disk_use, "size_of", size_of)
    watch = DiskWatch(noticed.set)
    watch.start()
    assert looked.wait(20)
    assert watch.excess is None
    (volumes / "home" / "of-the-notebook").write_bytes(os.urandom(3 * MIB))
    assert "2 MiB of its machine's disk" in str(excess_of(noticed, watch))
