"""Which files a notebook wrote, and under which names they are stored."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.runner.staging import workspace
from jupyter_kueue.storage import object_names
from jupyter_kueue.storage.untrusted_folder import UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = workspace.Limits(files=5, file_bytes=10_000, total_bytes=20_000)


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
        left_out = workspace.LeftOut()
        changed = workspace.take(folder, before, LIMITS, left_out)
    assert sorted(changed) == ["changed", "link-inside", "sub/new"]


# Few letters, so that names meet: \x01 and \uffff both become the underscore.
NAMES = st.text(st.sampled_from("a_/.\x01\uffff"), min_size=1, max_size=5) | st.text(min_size=1)


@given(st.lists(NAMES.map(os.path.normpath).filter(lambda name: name.strip("/."))))
def test_stored_names_are_distinct_and_fit_for_any_store(paths: list[str]) -> None:
    taken = workspace.StoredNames()
    names = [taken.take(path) for path in paths]

    kept = [name for name in names if name is not None]
    assert len(set(kept)) == len(kept)
    assert not any(object_names.UNFIT.search(name) for name in kept)
    folders = {str(above) for name in kept for above in PurePosixPath(name).parents}
    assert folders.isdisjoint(kept)


def test_a_taken_name_gets_a_number() -> None:
    names = workspace.StoredNames()
    assert names.take("a/run.log") == "a/run.log"
    assert names.take("a/run.log") == "a/run-1.log"
    assert names.take("a/run-2.log") == "a/run-2.log"
    assert names.take("a/run.log") == "a/run-3.log"
    assert names.take("x" * 900) is None


def test_no_name_is_a_file_and_a_folder() -> None:
    names = workspace.StoredNames()
    assert names.take("train.ipynb") == "train.ipynb"
    assert names.take("train.ipynb/b") == "train-1.ipynb/b"
    assert names.take("train.ipynb/c") == "train-1.ipynb/c"
    assert names.take("d_/e") == "d_/e"
    assert names.take("d\x01") == "d_-1"
