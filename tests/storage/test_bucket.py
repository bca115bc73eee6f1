"""The bucket's promises, on a real object store and on a directory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from typing import TYPE_CHECKING

import pytest
from obstore.exceptions import GenericError

from jupyter_kueue.domain import errors
from jupyter_kueue.storage import bucket_errors
from jupyter_kueue.storage.bucket import PART_BYTES, Bucket
from tests.support import object_store as stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Seaweed]:
    store = stores.Seaweed(tmp_path_factory.mktemp("seaweed"))
    store.start()
    yield store
    store.kill()


@pytest.fixture(params=["s3", "file"])
def bucket(request: pytest.FixtureRequest, seaweed: stores.Seaweed, tmp_path: Path) -> Bucket:
    if request.param == "file":
        return Bucket.open(f"file://{tmp_path}/bucket")
    return Bucket.open(f"s3://{stores.BUCKET}/{uuid.uuid4()}", seaweed.options())


async def test_what_is_written_is_read(bucket: Bucket) -> None:
    await bucket.put_bytes("a/data.bin", b"\x00\x01", content_type="application/x-thing")
    etag = await bucket.put_json("a/ü b.json", {"é": [1, None]})

    assert await bucket.get_bytes("a/data.bin") == b"\x00\x01"
    assert await bucket.get_json("a/ü b.json") == {"é": [1, None]}
    meta = await bucket.head("a/ü b.json")
    assert meta is not None
    assert (meta.key, meta.size, meta.etag) == ("a/ü b.json", 15, etag)


async def test_what_is_not_there(bucket: Bucket, tmp_path: Path) -> None:
    assert await bucket.head("nothing") is None
    with pytest.raises(errors.NotFoundError, match="nothing is not in the bucket"):
        await bucket.get_bytes("nothing")
    with pytest.raises(errors.NotFoundError):
        await bucket.download("nothing", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    assert list(await bucket.list("nothing/")) == []
    await bucket.delete(["nothing", "nothing else"])
    await bucket.delete([])
    assert await bucket.delete_prefix("nothing/") == 0


async def test_only_changes_are_fetched(bucket: Bucket) -> None:
    await bucket.put_json("state.json", 1)
    first = await bucket.get_json_if_changed("state.json", None)
    assert first is not None
    value, etag = first
    assert value == 1
    assert await bucket.get_json_if_changed("state.json", etag) is None

    await bucket.put_json("state.json", 22)
    assert (await bucket.get_json_if_changed("state.json", etag) or ())[0] == 22


async def test_what_is_written_once_is_whoevers_came_first(bucket: Bucket) -> None:
    assert await bucket.create_once("once", b"first") == b"first"
    assert await bucket.create_once("once", b"first") == b"first"
    assert await bucket.create_once("once", b"second") == b"first"
    assert await bucket.get_bytes("once") == b"first"


async def test_one_of_many_that_write_at_once_comes_first(bucket: Bucket) -> None:
    mine = [str(number).encode() for number in range(16)]
    found = await asyncio.gather(*(bucket.create_once("once", data) for data in mine))
    assert set(found) == {await bucket.get_bytes("once")}


async def test_messages_hold_no_key_of_ours(bucket: Bucket) -> None:
    await bucket.put_bytes("tess/runs/1/record.json", b"{")
    with pytest.raises(errors.ConflictError) as raised:
        await bucket.create("tess/runs/1/record.json", b"")
    assert "tess/runs" not in raised.value.message
    with pytest.raises(errors.UnreadableError) as unreadable:
        await bucket.get_json("tess/runs/1/record.json")
    assert "tess/runs" not in unreadable.value.message


async def test_create_does_not_replace(bucket: Bucket) -> None:
    await bucket.create("once", b"first")
    with pytest.raises(errors.ConflictError, match="once already exists"):
        await bucket.create("once", b"second")
    assert await bucket.get_bytes("once") == b"first"


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 2 * PART_BYTES + 1])
async def test_files_of_any_size(bucket: Bucket, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "new" / "target"
    source.write_bytes(os.urandom(size))

    with source.open("rb") as file:
        up = await bucket.put_file("file", file, metadata={"pod_uid": "x"})
    down = await bucket.download("file", target)

    assert up == down
    assert up.size == size
    assert up.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert target.read_bytes() == source.read_bytes()
    assert [entry.name for entry in target.parent.iterdir()] == ["target"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, (0, 20_000_000)),
        (5, None, (5, 20_000_000)),
        (None, 5, (0, 5)),
        (3, 12_000_000, (3, 12_000_000)),
        (19_999_999, 30_000_000, (19_999_999, 20_000_000)),
        (-4, None, (19_999_996, 20_000_000)),
    ],
)
async def test_ranges(
    bucket: Bucket,
    tmp_path: Path,
    start: int | None,
    end: int | None,
    expected: tuple[int, int],
) -> None:
    data = os.urandom(20_000_000)
    (tmp_path / "data").write_bytes(data)
    with (tmp_path / "data").open("rb") as file:
        await bucket.put_file("data", file)

    download = await bucket.stream("data", start, end)

    assert (download.start, download.end) == expected
    assert download.meta.size == len(data)
    assert b"".join([chunk async for chunk in download]) == data[expected[0] : expected[1]]


async def test_a_range_beyond_the_end(bucket: Bucket) -> None:
    await bucket.put_bytes("oranges.csv", b"12345")
    with pytest.raises(errors.RangeNotSatisfiableError):
        await bucket.stream("oranges.csv", 5)


async def test_listings(bucket: Bucket) -> None:
    for key in ("runs/a/record.json", "runs/a/input/x", "runs/b/record.json", "runsx/c", "top"):
        await bucket.put_bytes(key, b"1")

    assert sorted(meta.key for meta in await bucket.list("runs/")) == [
        "runs/a/input/x",
        "runs/a/record.json",
        "runs/b/record.json",
    ]
    assert sorted(await bucket.list_prefixes("runs/")) == ["runs/a/", "runs/b/"]
    assert sorted(await bucket.list_prefixes()) == ["runs/", "runsx/"]
    assert await bucket.delete_prefix("runs/a/") == 2
    assert len(await bucket.list()) == 3


@pytest.mark.parametrize("key", ["a/../b", "a//b", "new\nline", "./a"])
async def test_keys_that_no_object_can_have(bucket: Bucket, key: str) -> None:
    with pytest.raises(errors.InvalidRequestError, match="is not a valid object name"):
        await bucket.put_bytes(key, b"")


async def test_content_that_is_not_json(bucket: Bucket) -> None:
    await bucket.put_bytes("x.json", b"{")
    with pytest.raises(errors.UnreadableError, match=r"x\.json .* is not valid JSON"):
        await bucket.get_json("x.json")


async def test_a_usable_bucket_passes_the_check(bucket: Bucket) -> None:
    await bucket.check()
    assert list(await bucket.list()) == []


CHECKS = {
    "wrong secret": ({"secret_access_key": "wrong"}, errors.ForbiddenError, "rejects the cr"),
    "wrong key": ({"access_key_id": "wrong"}, errors.ForbiddenError, "rejects the cred"),
    "silent": (
        {"endpoint": "http://127.0.0.1:1"},
        errors.BucketUnavailableError,
        "does not answer",
    ),
    "read only": (
        dict(zip(("access_key_id", "secret_access_key"), stores.READER, strict=True)),
        errors.ForbiddenError,
        "does not allow these credentials to write",
    ),
}


@pytest.mark.parametrize("case", CHECKS)
async def test_the_check_says_what_is_wrong(seaweed: stores.Seaweed, case: str) -> None:
    options, error, words = CHECKS[case]
    bucket = Bucket.open(
        f"s3://{stores.BUCKET}/check", seaweed.options() | options, retries=1, retry_seconds=1
    )
    with pytest.raises(error, match=words) as raised:
        await bucket.check()
    assert raised.value.__cause__ is not None
    for secret in (stores.ADMIN[1], stores.READER[1]):
        assert secret not in str(raised.value)


async def test_a_bucket_that_does_not_exist(seaweed: stores.Seaweed) -> None:
    bucket = Bucket.open("s3://nowhere", seaweed.options())
    with pytest.raises(errors.BucketUnavailableError, match="does not exist"):
        await bucket.get_bytes("x")
    assert "s3://nowhere" in bucket.name


@pytest.mark.parametrize(
    "answer",
    [
        "Server returned non-2xx status code: 507 Insufficient Storage: ",
        "500 Internal Server Error: <Error><Code>XMinioStorageFull</Code></Error>",
        "Unable to copy data to file: No space left on device (os error 28)",
    ],
)
def test_a_full_bucket_is_told_as_such(answer: str) -> None:
    error = bucket_errors.translate(
        GenericError(answer), doing="write", key="x", bucket="s3://outputs"
    )
    assert isinstance(error, errors.BucketUnavailableError)
    assert "s3://outputs is full" in error.message


def test_a_server_error_may_mean_that_the_disk_is_full() -> None:
    answer = "Server returned non-2xx status code: 500 Internal Server Error: <Code>InternalError<"
    error = bucket_errors.translate(
        GenericError(answer), doing="write", key="x", bucket="s3://outputs"
    )
    assert isinstance(error, errors.BucketUnavailableError)
    assert "may be full" in error.message


def test_settings_from_a_folder(seaweed: stores.Seaweed, tmp_path: Path) -> None:
    """As a Secret volume shows them: links into a dated folder, beside ``..data``."""
    real = tmp_path / "..2026_01_01"
    real.mkdir()
    (tmp_path / "..data").symlink_to("..2026_01_01")
    for name, value in {"url": f"s3://{stores.BUCKET}/x\n", **seaweed.options()}.items():
        (real / name).write_text(value)
        (tmp_path / name).symlink_to(f"..data/{name}")

    assert Bucket.open(tmp_path).name == f"s3://{stores.BUCKET}/x at {seaweed.endpoint}"


def test_a_credential_in_a_url_is_not_shown() -> None:
    bucket = Bucket.open("s3://outputs/x", {"endpoint": "http://user:hush@127.0.0.1:1?sig=hush"})
    assert bucket.name == "s3://outputs/x at http://127.0.0.1:1"


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(errors.NotConfiguredError, match="has no file 'url'"):
        Bucket.open(tmp_path)
    with pytest.raises(errors.NotConfiguredError, match="cannot be read"):
        Bucket.open(tmp_path / "missing")
    with pytest.raises(errors.NotConfiguredError, match="cannot be opened"):
        Bucket.open("gopher://x")
    with pytest.raises(errors.NotConfiguredError, match=r"unknown option.*'colour'"):
        Bucket.open("s3://x", {"colour": "blue"})
