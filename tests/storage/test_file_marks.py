"""The marks of any file can be read back from a run's records."""

from __future__ import annotations

import os

from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_kueue.domain import times
from jupyter_kueue.storage.file_marks import FileMarks


@given(st.integers(-(2**63), 2**63 - 1))
@example(-1)
@example(253_402_300_800 * 10**9)
def test_a_time_is_one_that_records_may_hold_or_none(nanoseconds: int) -> None:
    seconds = nanoseconds // 10**9
    whole = [0o644, 1, 1, 1, 0, 0, 0, seconds, seconds, seconds]
    status = os.stat_result(whole, {"st_mtime_ns": nanoseconds})
    marks = FileMarks.of_status(status)
    assert marks.modified_at is None or times.is_moment(marks.modified_at)
    assert (marks.modified_at is None) == (seconds < 0 or seconds >= 221_845_392_000)
