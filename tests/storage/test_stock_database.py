"""jupyter-scheduler's database, as its releases and accidents leave it behind."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue import patience
from jupyter_kueue.domain import errors
from jupyter_kueue.storage import stock_database
from jupyter_kueue.storage.stock_database import StockDatabase, find_path

if TYPE_CHECKING:
    from pathlib import Path

FEW_COLUMNS = "job_id TEXT PRIMARY KEY, status TEXT, input_filename TEXT, create_time INTEGER"


def make(path: Path, *statements: str) -> StockDatabase:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return StockDatabase(path)


@pytest.mark.parametrize(
    ("db_url", "expected"),
    [
        (None, "data/scheduler.sqlite"),
        ("", "data/scheduler.sqlite"),
        ("sqlite://", "data/scheduler.sqlite"),
        ("sqlite:///:memory:", "data/scheduler.sqlite"),
        ("sqlite:////srv/jobs.db", "/srv/jobs.db"),
        ("sqlite:////srv/jobs.db?timeout=5", "/srv/jobs.db"),
        ("mysql://somewhere/jobs", None),
    ],
)
def test_where_it_is(tmp_path: Path, db_url: str | None, expected: str | None):
    found = find_path(db_url, tmp_path / "data")
    assert found == (None if expected is None else tmp_path / expected)


def test_columns_that_an_older_release_lacks_are_none(tmp_path: Path):
    database = make(
        tmp_path / "old.sqlite",
        f"CREATE TABLE jobs ({FEW_COLUMNS})",
        "INSERT INTO jobs VALUES ('a', 'COMPLETED', 'a.ipynb', 1), ('b', 'FAILED', 'b.ipynb', 2)",
        "INSERT INTO jobs VALUES ('c', 'QUEUED', 'c.ipynb', 3), ('d', NULL, 'd.ipynb', 4)",
    )
    assert database.job_ids() == ["a", "b"]
    assert database.definition_ids() == []
    assert list(database.definitions()) == []
    first, second = database.finished_jobs()
    assert (first["job_id"], first["create_time"], first["package_input_folder"]) == ("a", 1, None)
    assert second["status"] == "FAILED"
    assert [row["job_id"] for row in database.unfinished_runs()] == ["c", "d"]


def test_many_are_read_a_few_at_a_time_without_a_lock(tmp_path: Path):
    count = 3 * stock_database.ROWS_AT_ONCE + 1
    path = tmp_path / "many.sqlite"
    rows = ", ".join(f"('{number}', 'STOPPED', 'a.ipynb', 1)" for number in range(count))
    database = make(path, f"CREATE TABLE jobs ({FEW_COLUMNS})", f"INSERT INTO jobs VALUES {rows}")
    found = database.finished_jobs()
    assert next(found)["job_id"] == "0"
    make(path, "INSERT INTO jobs VALUES ('last', 'STOPPED', 'a.ipynb', 1)")
    assert [row["job_id"] for row in found] == [*map(str, range(1, count)), "last"]


def test_a_file_that_is_none_of_its_is_named(tmp_path: Path):
    other = make(tmp_path / "other.sqlite", "CREATE TABLE people (name TEXT)")
    text = tmp_path / "text.sqlite"
    text.write_text("not a database " * 100)
    whole = tmp_path / "whole.sqlite"
    make(whole, f"CREATE TABLE jobs ({FEW_COLUMNS})")
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(whole.read_bytes()[:700])
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    for database in (other, StockDatabase(text), StockDatabase(torn), StockDatabase(empty)):
        with pytest.raises(errors.InvalidRequestError, match=database.path.name) as caught:
            database.job_ids()
        assert "--database" in caught.value.message


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path):
    missing = tmp_path / "missing.sqlite"
    with pytest.raises(errors.NotFoundError, match=r"missing\.sqlite"):
        StockDatabase(missing).job_ids()
    assert not missing.exists()


def test_a_locked_file_can_be_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patience, "STOCK_DATABASE_LOCK_SECONDS", 0.01)
    database = make(tmp_path / "busy.sqlite", f"CREATE TABLE jobs ({FEW_COLUMNS})")
    with contextlib.closing(sqlite3.connect(database.path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(errors.UnavailableError, match="locked"):
            database.job_ids()
        writer.rollback()
    assert database.job_ids() == []
