"""The last lines of a log, however long it is, as reading all of it would give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.storage import log_tail
from jupyter_kueue.storage.bucket import Bucket

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(log_tail, "RANGE_BYTES", 7)
    monkeypatch.setattr(log_tail, "MAX_TAIL_BYTES", 100)
    return Bucket.open(f"file://{tmp_path}/bucket")


LOGS = (
    b"one line without an end",
    b"one line\n",
    b"\n",
    b"\n\n\n",
    b"first\nsecond\nthird\n",
    b"first\nsecond\nthird",
    b"a\r\nb\rc\n\nd",
    "Grüße\n😀\n".encode() * 5,
    b"x" * 60 + b"\n" + b"y" * 13 + b"\n",
)


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("lines", [1, 2, 3, 4, 100])
async def test_the_last_lines_begin_where_they_do(bucket: Bucket, log: bytes, lines: int) -> None:
    await bucket.put_bytes("run.log", log)
    start = await log_tail.find_start(bucket, "run.log", lines)
    all_lines = [line + b"\n" for line in log.split(b"\n")]
    all_lines[-1] = all_lines[-1][:-1]
    expected = b"".join([line for line in all_lines if line][-lines:])
    assert log[start:] == expected


async def test_no_line_is_asked_for_or_there(bucket: Bucket) -> None:
    await bucket.put_bytes("run.log", b"first\n")
    assert await log_tail.find_start(bucket, "run.log", 0) is None
    await bucket.put_bytes("run.log", b"")
    assert await log_tail.find_start(bucket, "run.log", 5) is None
    with pytest.raises(errors.NotFoundError):
        await log_tail.find_start(bucket, "other.log", 5)


async def test_one_endless_line_is_cut(bucket: Bucket) -> None:
    await bucket.put_bytes("run.log", b"first\n" + b"x" * 1000)
    assert await log_tail.find_start(bucket, "run.log", 1) == 906
