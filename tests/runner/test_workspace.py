"""Which files a notebook wrote, and under which names they are stored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.runner import workspace
from jupyter_kueue.storage.untrusted_folder import UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_new_and_changed_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("1")
    (tmp_path / "changed").write_text("1")
    before = workspace.signatures(tmp_path)
    (tmp_path / "changed").write_text("12")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new").write_text("")
    (tmp_path / "link-inside").symlink_to("same")
    (tmp_path / "link-outside").symlink_to("/etc/hostname")
    (tmp_path / "link-to-itself").symlink_to("link-to-itself")
    (tmp_path / "folder-outside").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")

    with UntrustedFolder(tmp_path) as folder:
        changed = [file.path for file in workspace.changed(folder, before)]
    assert changed == ["changed", "link-inside", "sub/new"]


@given(st.lists(st.text(min_size=1).filter(lambda name: name.strip("/."))))
def test_stored_names_are_distinct_and_fit_for_any_store(paths: list[str]) -> None:
    taken: set[str] = set()
    names = [workspace.stored_name(path, taken) for path in paths]

    kept = [name for name in names if name is not None]
    assert len(set(kept)) == len(kept)
    assert not any(workspace.UNFIT.search(name) for name in kept)


def test_a_taken_name_gets_a_number() -> None:
    taken = {"a/run.log"}
    assert workspace.stored_name("a/run.log", taken) == "a/run-1.log"
    assert workspace.stored_name("a/run.log", taken) == "a/run-2.log"
    assert workspace.stored_name("x" * 900, taken) is None
