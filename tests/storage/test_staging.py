"""What may be staged, what is refused and how that is said, and that the bytes arrive."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import socket
from pathlib import Path

import pytest

from jupyter_kueue.contract import notebook_document
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_record import MAX_LEFT_BEHIND
from jupyter_kueue.storage import input_upload
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.input_upload import InputLimits, find_input, upload

LIMITS = InputLimits(max_notebook_bytes=2**20, max_folder_files=20, max_folder_bytes=2**20)
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "ir", "language": "R"}},
    "cells": [],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "work").mkdir(parents=True)
    write_notebook(root / "work" / "train.ipynb")
    return root


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket.open(f"file://{tmp_path}/bucket")


def write_notebook(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**NOTEBOOK, **changes}))


def refusal(root: Path, path: str, *, include_folder: bool = False) -> dict[str, str]:
    with pytest.raises(errors.InvalidRequestError) as caught:
        find_input(root, path, include_folder=include_folder, limits=LIMITS)
    return caught.value.fields


def test_a_notebook_alone(root: Path):
    (root / "work" / "data.csv").write_text("1,2")
    found = find_input(root, "work/train.ipynb", include_folder=False, limits=LIMITS)
    assert found.notebook == "train.ipynb"
    assert [file.path for file in found.files] == ["train.ipynb"]
    assert (found.kernel_name, found.language) == ("ir", "r")


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\u2028", "x" * 256])
@pytest.mark.parametrize("field", ["name", "language"])
def test_a_kernel_that_there_cannot_be(root: Path, field: str, text: str):
    write_notebook(root / "odd.ipynb", metadata={"kernelspec": {"name": "python3", field: text}})
    said = refusal(root, "odd.ipynb")
    assert list(said) == ["input_path"]
    assert f"kernelspec.{field} " in said["input_path"]


def test_a_notebook_that_names_no_kernel_is_python(root: Path):
    write_notebook(root / "plain.ipynb", metadata={})
    found = find_input(root, "plain.ipynb", include_folder=False, limits=LIMITS)
    assert (found.kernel_name, found.language) == (None, "")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "the server's root"),
        (".", "the server's root"),
        ("/etc/passwd", "the server's root"),
        ("../outside.ipynb", "the server's root"),
        ("work/../../outside.ipynb", "the server's root"),
        ("work/../work/train.ipynb", "the server's root"),
        ("work\\train.ipynb", "must use /"),
        ("work/train.ipynb\0.txt", "must use /"),
        ("work/none.ipynb", "does not exist"),
        ("work/train.ipynb/x.ipynb", "Not a directory"),
        ("work", "is a folder"),
        ("work/notes.txt", "ending in .ipynb"),
        ("work/" + "x" * 300 + ".ipynb", "File name too long"),
        ("work/text.ipynb", "is not JSON"),
        ("work/empty.ipynb", "it is empty"),
        ("work/list.ipynb", "has no nbformat"),
        ("work/old.ipynb", "old notebook format 1"),
        ("work/cells.ipynb", "no list of cells"),
        ("work/deep.ipynb", "is not JSON"),
        ("work/pipe.ipynb", "not a regular file"),
        ("work/out.ipynb", "leads outside the server's root"),
        ("work/sibling/secret.ipynb", "leads outside the server's root"),
        ("work/loop.ipynb", "leads back to itself"),
    ],
)
def test_what_is_no_notebook_below_the_root(root: Path, path: str, says: str):
    work = root / "work"
    (work / "notes.txt").write_text("hello")
    (work / "text.ipynb").write_text("print('hello')")
    (work / "empty.ipynb").touch()
    (work / "list.ipynb").write_text("[1]")
    (work / "deep.ipynb").write_text("[" * 100_000)
    write_notebook(work / "old.ipynb", nbformat=1)
    write_notebook(work / "cells.ipynb", cells=None)
    os.mkfifo(work / "pipe.ipynb")
    write_notebook(root.parent / "outside.ipynb")
    (work / "out.ipynb").symlink_to(root.parent / "outside.ipynb")
    # A folder whose name begins with the root's is still outside.
    sibling = root.parent / "root-of-others"
    sibling.mkdir()
    write_notebook(sibling / "secret.ipynb")
    (work / "sibling").symlink_to(sibling)
    (work / "loop.ipynb").symlink_to(work / "loop.ipynb")
    fields = refusal(root, path)
    assert list(fields) == ["input_path"]
    assert says in fields["input_path"]


def test_a_link_within_the_root_is_followed(root: Path):
    (root / "link.ipynb").symlink_to(root / "work" / "train.ipynb")
    assert (
        find_input(root, "link.ipynb", include_folder=False, limits=LIMITS).notebook == "link.ipynb"
    )


def test_a_root_that_is_a_link_itself(root: Path, tmp_path: Path):
    (tmp_path / "home").symlink_to(root)
    assert (
        find_input(
            tmp_path / "home", "work/train.ipynb", include_folder=True, limits=LIMITS
        ).notebook
        == "train.ipynb"
    )


def test_a_notebook_over_the_limit_names_it(root: Path):
    write_notebook(root / "big.ipynb", filler="x" * 2**20)
    with pytest.raises(errors.TooLargeError, match=r"1048576 \(max_notebook_bytes\)") as caught:
        find_input(root, "big.ipynb", include_folder=False, limits=LIMITS)
    assert list(caught.value.fields) == ["input_path"]


@pytest.mark.programs
def test_a_large_notebook_is_parsed_outside_of_this_process(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(input_upload, "PARSED_HERE_BYTES", 10)
    monkeypatch.setattr(notebook_document, "facts", None)
    assert find_input(root, "work/train.ipynb", include_folder=False, limits=LIMITS).language == "r"
    (root / "no.ipynb").write_text("{'nbformat': 4}")
    assert "is not JSON" in refusal(root, "no.ipynb")["input_path"]


def test_the_folder_goes_along(root: Path):
    work = root / "work"
    for path in (
        "data.csv",
        "src/model.py",
        "src/__pycache__/model.pyc",
        ".ipynb_checkpoints/train-checkpoint.ipynb",
        ".git/HEAD",
        ".env/pyvenv.cfg",
        ".env/lib/big.py",
        ".hidden",
        "Grüße 😀.txt",
    ):
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(path)
    (root / "shared").mkdir()
    (root / "shared" / "table.csv").write_text("1")
    (work / "linked").symlink_to(root / "shared")
    found = find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    assert [file.path for file in found.files] == [
        "train.ipynb",
        "Grüße 😀.txt",
        "data.csv",
        "linked/table.csv",
        "src/model.py",
    ]
    assert (found.left_behind, found.left_behind_count) == ((".env/", ".hidden"), 2)


HIDDEN = (".env", ".ssh/id_ed25519", ".aws/credentials", "src/.netrc", "src/.config/gh/hosts.yml")


@pytest.fixture
def with_hidden(root: Path) -> Path:
    for path in (*HIDDEN, "src/model.py"):
        (root / "work" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "work" / path).write_text("secret")
    return root


def test_hidden_files_stay_behind_and_are_named(with_hidden: Path):
    found = find_input(with_hidden, "work/train.ipynb", include_folder=True, limits=LIMITS)
    assert [file.path for file in found.files] == ["train.ipynb", "src/model.py"]
    assert found.left_behind == (".aws/", ".env", ".ssh/", "src/.config/", "src/.netrc")
    assert found.left_behind_count == 5


def test_a_rule_can_ask_for_a_hidden_file(with_hidden: Path):
    (with_hidden / "work" / ".jupyterkueueignore").write_text("!.env\n!src/.config/\nmodel.py\n")
    found = find_input(with_hidden, "work/train.ipynb", include_folder=True, limits=LIMITS)
    taken = ["train.ipynb", ".env", "src/.config/gh/hosts.yml"]
    assert [file.path for file in found.files] == taken
    assert found.left_behind == (".aws/", ".ssh/", "src/.netrc")


def test_where_the_contents_manager_shows_hidden_files_they_go_along(with_hidden: Path):
    found = find_input(
        with_hidden, "work/train.ipynb", include_folder=True, limits=LIMITS, allow_hidden=True
    )
    assert {file.path for file in found.files} == {"train.ipynb", "src/model.py", *HIDDEN}
    assert found.left_behind_count == 0


def test_of_many_hidden_files_some_are_named(root: Path):
    for number in range(30):
        (root / "work" / f".{number}").touch()
    found = find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    assert (len(found.left_behind), found.left_behind_count) == (MAX_LEFT_BEHIND, 30)


@pytest.mark.parametrize(
    "path", [".hidden.ipynb", ".secret/a.ipynb", "work/.secret/a.ipynb", ".not/there.ipynb"]
)
def test_a_hidden_notebook_is_not_there(root: Path, path: str):
    if "not" not in path:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_notebook(root / path)
    said = refusal(root, path)
    assert list(said) == ["input_path"]
    assert "does not exist in the server's root folder, or is hidden" in said["input_path"]
    if "not" not in path:
        find_input(root, path, include_folder=False, limits=LIMITS, allow_hidden=True)


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("away", "/etc", "away is a link to something outside the server's root"),
        ("nowhere", "not-there", "nowhere is a broken link"),
        ("ring", ".", "ring is a link to a folder that contains it"),
    ],
)
def test_links_that_do_not_lead_to_files_below_the_root(
    root: Path, name: str, target: str, says: str
):
    (root / "work" / "sub").mkdir()
    (root / "work" / name).symlink_to(target)
    assert says in refusal(root, "work/train.ipynb", include_folder=True)["include_folder"]


def test_a_ring_of_links_through_another_folder(root: Path):
    (root / "other").mkdir()
    (root / "other" / "back").symlink_to(root / "work")
    (root / "work" / "there").symlink_to(root / "other")
    fields = refusal(root, "work/train.ipynb", include_folder=True)
    assert "there/back is a link to a folder that contains it" in fields["include_folder"]


def test_names_that_cannot_be_keys(root: Path):
    (root / "work" / "a\nb.txt").touch()
    fields = refusal(root, "work/train.ipynb", include_folder=True)
    assert "control character" in fields["include_folder"]


def test_a_name_that_is_no_utf8_can_be_told(root: Path):
    Path(os.fsdecode(os.fsencode(root / "work") + b"/\xff.txt")).touch()
    fields = refusal(root, "work/train.ipynb", include_folder=True)
    assert json.dumps(fields).encode()
    assert "bytes that are not text" in fields["include_folder"]


def test_a_socket_in_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(root / "work")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.sock")
        fields = refusal(root, "work/train.ipynb", include_folder=True)
    assert "s.sock is not a regular file" in fields["include_folder"]


@pytest.mark.parametrize(
    ("number", "size", "says"),
    [
        (30, 1, r"more files than the limit of 20 \(max_folder_files\).* in many/ \(1[0-9]\)"),
        (
            3,
            2**19,
            r"larger than the limit of 1048576 bytes \(max_folder_bytes\).* many/ \(\d+ bytes\)",
        ),
    ],
)
def test_over_a_limit_it_is_told_what_is_large_and_what_helps(
    root: Path, number: int, size: int, says: str
):
    (root / "work" / "a.txt").write_text("small")
    (root / "work" / "many").mkdir()
    for index in range(number):
        (root / "work" / "many" / f"{index}.bin").write_bytes(b"x" * size)
    with pytest.raises(errors.TooLargeError) as caught:
        find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    [(field, text)] = caught.value.fields.items()
    assert field == "include_folder"
    assert re.search(says, text)
    assert "file named .jupyterkueueignore next to the notebook" in text
    (root / "work" / ".jupyterkueueignore").write_text("many/\n")
    found = find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    assert [file.path for file in found.files] == ["train.ipynb", "a.txt"]


def test_folders_with_nothing_in_them_are_known(root: Path):
    (root / "work" / "out" / "plots").mkdir(parents=True)
    (root / "work" / "cache").mkdir()
    (root / "work" / "cache" / "big.bin").touch()
    (root / "work" / ".jupyterkueueignore").write_text("cache/*\n")
    found = find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    assert found.empty_folders == ("cache", "out/plots")


def test_a_path_that_no_bucket_takes(root: Path):
    deep = root / "work" / "/".join(["d" * 200] * 4)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    fields = refusal(root, "work/train.ipynb", include_folder=True)
    assert "is longer than the 800 bytes" in fields["include_folder"]


async def test_upload_puts_every_file_and_tells_its_digest(root: Path, bucket: Bucket):
    for number in range(15):
        (root / "work" / f"{number} ü#%.txt").write_text(f"text {number}")
    found = find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    stored = await upload(bucket, "me/runs/1/input/", found, concurrency=4)
    assert [entry["path"] for entry in stored] == [file.path for file in found.files]
    for entry in stored:
        data = (root / "work" / entry["path"]).read_bytes()
        assert await bucket.get_bytes(f"me/runs/1/input/{entry['path']}") == data
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["size_bytes"] == len(data)


async def test_upload_of_a_file_that_is_gone_stops_the_others(root: Path, bucket: Bucket):
    (root / "work" / "gone.txt").touch()
    found = find_input(root, "work/train.ipynb", include_folder=True, limits=LIMITS)
    (root / "work" / "gone.txt").unlink()
    before = asyncio.all_tasks()
    with pytest.raises(errors.InvalidRequestError, match=r"gone\.txt can no longer be read"):
        await upload(bucket, "input/", found)
    assert asyncio.all_tasks() == before
