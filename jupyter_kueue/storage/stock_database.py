"""The SQLite database of jupyter-scheduler's own backend, read and never written.

Any 2.x release may have created it: a column that an older one lacks is read as None. Everything
here blocks; call it in a thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_kueue import patience
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = dict[str, Any]

FILE_NAME = "scheduler.sqlite"
STAGING_FOLDER = "scheduler_staging_area"

# jupyter-scheduler's statuses (models.py, Status).
COMPLETED, FAILED, STOPPED = "COMPLETED", "FAILED", "STOPPED"
FINISHED_STATUSES = (COMPLETED, FAILED, STOPPED)

_URL_SCHEME = "sqlite:///"
ROWS_AT_ONCE = 200

_COMMON = (
    "runtime_environment_name",
    "runtime_environment_parameters",
    "compute_type",
    "input_filename",
    "output_formats",
    "name",
    "tags",
    "parameters",
    "output_filename_template",
    "create_time",
    "update_time",
    "package_input_folder",
)
_JOB_COLUMNS = (
    "job_id",
    "job_definition_id",
    "status",
    "status_message",
    "start_time",
    "end_time",
    *_COMMON,
)
_DEFINITION_COLUMNS = ("job_definition_id", "schedule", "timezone", "active", *_COMMON)


def find_path(db_url: str | None, data_dir: Path) -> Path | None:
    """Return the database's path for jupyter-scheduler's ``db_url``; None if it is not a file.

    This package's backend sets an empty or in-memory database; the stock backend's file is then at
    its default place.
    """
    if not db_url or db_url in ("sqlite://", "sqlite:///:memory:"):
        return data_dir / FILE_NAME
    if not db_url.startswith(_URL_SCHEME):
        return None
    return Path(db_url.removeprefix(_URL_SCHEME).partition("?")[0])


class StockDatabase:
    """One database file.

    Every method raises NotFoundError if the file does not exist, InvalidRequestError if it is not
    jupyter-scheduler's, and UnavailableError while it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def job_ids(self) -> list[str]:
        """Return the ids of the jobs that have ended, oldest first."""
        marks = ", ".join("?" * len(FINISHED_STATUSES))
        return self._ids("jobs", "job_id", f"WHERE status IN ({marks})", FINISHED_STATUSES)

    def definition_ids(self) -> list[str]:
        """Return the ids of the job definitions, oldest first."""
        return self._ids("job_definitions", "job_definition_id", "", ())

    def unfinished_runs(self) -> list[Row]:
        """Return the jobs that have not ended, in the form of ``finished_jobs``."""
        marks = ", ".join("?" * len(FINISHED_STATUSES))
        where = f"status IS NULL OR status NOT IN ({marks})"
        return list(self._rows("jobs", _JOB_COLUMNS, where, FINISHED_STATUSES))

    def finished_jobs(self) -> Iterator[Row]:
        """Yield the jobs that have ended, oldest first, in batches.

        Values are returned as stored: times in ms since 1970, JSON as text. The file is not locked
        between batches, so that a server can write to it meanwhile.
        """
        marks = ", ".join("?" * len(FINISHED_STATUSES))
        yield from self._rows("jobs", _JOB_COLUMNS, f"status IN ({marks})", FINISHED_STATUSES)

    def definitions(self) -> Iterator[Row]:
        """Yield the job definitions in the same way."""
        yield from self._rows("job_definitions", _DEFINITION_COLUMNS, "1", ())

    def _ids(self, table: str, column: str, where: str, values: Sequence[str]) -> list[str]:
        with self._opened() as connection:
            if not self._columns(connection, table):
                return []
            # All names are constants of this module.
            query = f'SELECT "{column}" FROM "{table}" {where} ORDER BY rowid'  # noqa: S608
            return [str(row[0]) for row in connection.execute(query, tuple(values))]

    def _rows(
        self, table: str, columns: Sequence[str], where: str, values: Sequence[str]
    ) -> Iterator[Row]:
        after = -1
        while True:
            with self._opened() as connection:
                there = self._columns(connection, table)
                read = [column for column in columns if column in there]
                if not read:
                    return
                names = ", ".join(f'"{column}"' for column in read)
                query = (
                    f'SELECT rowid, {names} FROM "{table}" '  # noqa: S608 - this module's own names
                    f"WHERE rowid > ? AND ({where}) ORDER BY rowid LIMIT {ROWS_AT_ONCE}"
                )
                found = connection.execute(query, (after, *values)).fetchall()
            for number, *row in found:
                after = number
                yield {**dict.fromkeys(columns), **dict(zip(read, row, strict=True))}
            if len(found) < ROWS_AT_ONCE:
                return

    def _columns(self, connection: sqlite3.Connection, table: str) -> frozenset[str]:
        """Return a table's columns; none for definitions in the first releases, which lack them."""
        found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        columns = frozenset(str(row[0]) for row in found)
        if table == "jobs" and not {"job_id", "status", "input_filename"} <= columns:
            raise errors.InvalidRequestError(
                {
                    "database": say(
                        "stock-database-other",
                        "{path} is not jupyter-scheduler's database: it "
                        "has no table of jobs. Use --database with "
                        "another file",
                        path=str(self.path),
                    )
                }
            )
        return columns

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file for reading, and translate SQLite's errors into this package's."""
        try:
            is_there = self.path.is_file()
        except OSError as error:
            raise errors.UnavailableError(
                say(
                    "stock-database-forbidden",
                    "The database {path} cannot be read ({problem}). Correct the permissions "
                    "of its folder.",
                    path=str(self.path),
                    problem=str(error.strerror),
                )
            ) from error
        if not is_there:
            raise errors.NotFoundError(
                say(
                    "stock-database-missing",
                    "There is no database at {path}, so there is nothing to import. "
                    "If it is elsewhere, use --database.",
                    path=str(self.path),
                )
            )
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        try:
            with contextlib.closing(
                sqlite3.connect(uri, uri=True, timeout=patience.STOCK_DATABASE_LOCK_SECONDS)
            ) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            # Locked, not permitted, or left in the middle of a write by a server that died.
            raise errors.UnavailableError(
                say(
                    "stock-database-busy",
                    "The database {path} cannot be read now ({problem}). Stop the "
                    "program that writes to it, or use --database with a copy.",
                    path=str(self.path),
                    problem=str(error),
                )
            ) from error
        except sqlite3.DatabaseError as error:
            raise errors.InvalidRequestError(
                {
                    "database": say(
                        "stock-database-broken",
                        "{path} is not a SQLite database, or is damaged "
                        "({problem}). Restore it, or use --database with "
                        "another file",
                        path=str(self.path),
                        problem=str(error),
                    )
                }
            ) from error
