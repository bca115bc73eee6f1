from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.storage.untrusted_folder import RefusedFileError, UntrustedFolder

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"secret"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    secret = tmp_path / "outside" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(SECRET)
    return secret


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    folder = tmp_path / "inside"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(b"mine")
    return folder


def test_a_file_is_read(inside: Path) -> None:
    with UntrustedFolder(inside) as folder:
        assert folder.read_bytes("sub/file", max_bytes=4) == b"mine"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside/secret", "sub/../../x", "", ".", "a\0b"]
)
def test_a_path_that_could_lead_out_is_refused(inside: Path, outside: Path, path: str) -> None:
    with UntrustedFolder(inside) as folder, pytest.raises(RefusedFileError):
        folder.open_file(path)


def test_no_link_is_followed_at_the_end_or_on_the_way(inside: Path, outside: Path) -> None:
    (inside / "link").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    (inside / "mine").symlink_to("sub/file")
    with UntrustedFolder(inside) as folder:
        for path in ("link", "folder/secret", "mine"):
            with pytest.raises(RefusedFileError, match="link"):
                folder.open_file(path)


def test_what_is_no_regular_file_is_refused_at_once(inside: Path) -> None:
    os.mkfifo(inside / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inside / "socket"))
    with UntrustedFolder(inside) as folder:
        for path in ("pipe", "socket", "sub"):
            with pytest.raises(RefusedFileError, match="not a regular file"):
                folder.open_file(path)


def test_a_size_beyond_the_bound_is_refused(inside: Path) -> None:
    with (inside / "sparse").open("wb") as file:
        file.truncate(2**40)
    with UntrustedFolder(inside) as folder, pytest.raises(RefusedFileError, match="the limit is 5"):
        folder.open_file("sparse", max_bytes=5)


def test_what_is_not_there_is_not_found(inside: Path) -> None:
    with UntrustedFolder(inside) as folder:
        for path in ("nothing", "sub/nothing", "nothing/at/all"):
            with pytest.raises(FileNotFoundError):
                folder.open_file(path)


def test_a_walk_finds_files_and_links_that_stay_inside(inside: Path, outside: Path) -> None:
    (inside / "latest").symlink_to("sub/file")
    (inside / "out").symlink_to(outside)
    (inside / "nowhere").symlink_to("nothing")
    (inside / "circle").symlink_to("circle")
    (inside / "folder").symlink_to("sub")
    os.mkfifo(inside / "pipe")
    (inside / "left").mkdir()
    (inside / "left" / "out").write_bytes(b"")
    with UntrustedFolder(inside) as folder:
        found = {file.path: file for file in folder.walk(without=frozenset({"left"}))}
    assert set(found) == {"sub/file", "latest"}
    assert found["latest"].real_path == "sub/file"
    assert found["latest"].size_bytes == 4


def test_a_walk_goes_deeper_than_a_path_may_be_long(inside: Path) -> None:
    descriptor = os.open(inside, os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    with UntrustedFolder(inside) as folder:
        assert max(len(file.path) for file in folder.walk()) == 50 * 201 + 4


@pytest.mark.timeout(60)
def test_a_folder_that_is_swapped_for_a_link_all_the_time_never_leads_out(
    inside: Path, outside: Path
) -> None:
    (inside / "sub" / "secret").write_bytes(b"mine")
    (inside / "other").symlink_to(outside.parent)
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            for old, new in (("sub", "kept"), ("other", "sub"), ("sub", "other"), ("kept", "sub")):
                (inside / old).rename(inside / new)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read: list[bytes] = []
    try:
        with UntrustedFolder(inside) as folder:
            while len(read) < 2000:
                try:
                    read.append(folder.read_bytes("sub/secret", max_bytes=100))
                except (RefusedFileError, FileNotFoundError) as error:
                    read.append(str(error).encode())
    finally:
        is_over.set()
        swapping.join()
    assert SECRET not in read
    assert b"mine" in read
