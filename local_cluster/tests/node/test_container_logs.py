from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue_local.node.container_logs import (
    LogFormatter,
    LogOptions,
    LogReader,
    Record,
    parse,
    parse_options,
    read_tail,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
LINES = [
    b"2026-01-01T12:00:00.000000001Z stdout F one",
    b"2026-01-01T12:00:10.500000000Z stderr F two",
    b"2026-01-01T12:00:20.000000000Z stdout P thr",
    b"2026-01-01T12:00:21.000000000Z stdout F ee",
]


def shown(options: LogOptions) -> bytes:
    records = [record for line in LINES if (record := parse(line))]
    return LogFormatter(options).format(records)


def test_a_line_is_parsed_with_spaces_in_its_text() -> None:
    line = b"2026-01-01T12:00:00.1Z stdout F  a b "
    assert parse(line) == Record("2026-01-01T12:00:00.1Z", "stdout", partial=False, text=b" a b ")
    assert parse(b"half a li") is None


@pytest.mark.parametrize(
    ("query", "output"),
    [
        ({}, b"one\ntwo\nthree\n"),
        ({"sinceSeconds": "20"}, b"two\nthree\n"),
        ({"sinceTime": "2026-01-01T12:00:20Z"}, b"three\n"),
        ({"sinceTime": "2026-01-01T13:00:20+01:00"}, b"three\n"),
        ({"limitBytes": "5"}, b"one\nt"),
        ({"stream": "Stderr"}, b"two\n"),
        (
            {"timestamps": "true", "sinceSeconds": "12"},
            b"2026-01-01T12:00:20.000000000Z three\n",
        ),
    ],
)
def test_options_choose_and_shape_the_output(query: dict[str, str], output: bytes) -> None:
    assert shown(parse_options(query, NOW)) == output


@pytest.mark.parametrize("query", [{"tailLines": "-1"}, {"sinceTime": "yesterday"}])
def test_a_bad_option_is_named(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        parse_options(query, NOW)


@given(
    texts=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b" ")), max_size=30),
    wanted=st.integers(0, 40),
)
def test_the_tail_is_the_end_of_all_lines(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], wanted: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "log"
    log.write_bytes(b"".join(b"2026-01-01T12:00:00Z stdout F %s\n" % text for text in texts))
    found = [record.text for record in read_tail(log, wanted)]
    assert found == (texts[-wanted:] if wanted else [])


def test_the_tail_of_a_log_larger_than_one_chunk(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = b"x" * 1000
    log.write_bytes(b"".join(b"t stdout F %d %s\n" % (i, text) for i in range(500)))
    assert [r.text.split()[0] for r in read_tail(log, 200)] == [b"%d" % i for i in range(300, 500)]


def test_a_half_written_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reader = LogReader(log)
    assert reader.read() == []
    log.write_bytes(b"t stdout F one\nt stdo")
    assert [r.text for r in reader.read()] == [b"one"]
    with log.open("ab") as file:
        file.write(b"ut F two\n")
    assert [r.text for r in reader.read()] == [b"two"]
    reader.close()


def test_a_log_that_begins_anew_or_is_removed_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"t stdout F one\n")
    with closing(LogReader(log)) as reader:
        assert [r.text for r in reader.read()] == [b"one"]
        with log.open("ab") as file:
            file.write(b"t stdout F two\n")
        log.rename(tmp_path / "log.1")
        log.write_bytes(b"t stdout F three\n")
        assert [r.text for r in reader.read()] == [b"two"]
        assert [r.text for r in reader.read()] == [b"three"]
        with log.open("ab") as file:
            file.write(b"t stdout F four\n")
        log.unlink()
        assert [r.text for r in reader.read()] == [b"four"]
        assert reader.read() == []
