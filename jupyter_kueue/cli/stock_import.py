"""``jupyter kueue import``: imports the jobs and definitions of jupyter-scheduler's own backend.

It finds the files and the settings, calls ``scheduler.stock_import`` and prints; it decides
nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_data_dir

from jupyter_kueue import config
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.storage import stock_database
from jupyter_kueue.storage.stock_database import StockDatabase

if TYPE_CHECKING:
    import argparse

    from traitlets.config import Config

    from jupyter_kueue.scheduler.stock_import import Item, Report

# The classes whose configuration may contain the staging area (scheduler.py).
_SCHEDULERS = ("Scheduler", "ArchivingScheduler", "BaseScheduler")


def add_parser(commands: Any) -> None:
    """Add ``import`` to the command line."""
    text = "import jobs and job definitions from jupyter-scheduler's own backend"
    parser: argparse.ArgumentParser = commands.add_parser(
        "import",
        help=text,
        description=f"{text[0].upper()}{text[1:]}: definitions become schedules, jobs that have "
        "ended become finished runs with their files. Nothing is changed in that backend, and what "
        "is here already is not added again. A server may be running.",
    )
    parser.add_argument(
        "--database",
        metavar="FILE",
        type=Path,
        help=f"its database (default: as SchedulerApp.db_url says, else {stock_database.FILE_NAME} "
        "in the folder that `jupyter --data-dir` names)",
    )
    parser.add_argument(
        "--staging",
        metavar="FOLDER",
        type=Path,
        help="where its files are (default: as Scheduler.staging_path says, else "
        f"{stock_database.STAGING_FOLDER} beside the database)",
    )
    parser.add_argument(
        "--root-dir",
        metavar="FOLDER",
        type=Path,
        help="the root folder of the server that downloads what the schedules' runs make, and "
        "where a definition's notebook is looked for that has no copy of its own (default: as "
        "ServerApp.root_dir says, else this folder)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    parser.set_defaults(run=_run, uses_bucket=True)


def _run(arguments: argparse.Namespace) -> int:
    if importlib.util.find_spec("jupyter_scheduler") is None:
        raise errors.NotConfiguredError(
            say(
                "jupyter-scheduler-not-installed",
                "jupyter-scheduler is not installed here. It is needed to read its "
                "database: pip install jupyter-kueue[scheduler]",
            )
        )
    # Slow to import, and only this command needs it.
    from jupyter_kueue.cli import configuration  # noqa: PLC0415
    from jupyter_kueue.scheduler.stock_import import StockImport  # noqa: PLC0415

    configured = configuration.load()
    database = arguments.database or configured_database(configured)
    staging = arguments.staging or configured_staging(configured, database)
    root_dir = arguments.root_dir or Path(configured.ServerApp.get("root_dir") or ".")
    stock_import = StockImport(
        config.load(configured),
        StockDatabase(database),
        staging,
        root_dir.expanduser().absolute(),
        _show_progress,
        dry_run=arguments.dry_run,
    )
    report = asyncio.run(stock_import.run())
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        _show(report)
    return 1 if report.failures else 0


def configured_database(configured: Config) -> Path:
    """Return the database of jupyter-scheduler that its configuration names, or its default.

    Raises:
        NotConfiguredError: it is not a file of SQLite.
    """
    db_url = configured.SchedulerApp.get("db_url")
    path = stock_database.find_path(db_url, Path(jupyter_data_dir()))
    if path is None:
        raise errors.NotConfiguredError(
            say(
                "stock-database-not-sqlite",
                "SchedulerApp.db_url does not point to a SQLite file, and no other "
                "database can be read. Use --database with a file.",
            )
        )
    return path


def configured_staging(configured: Config, database: Path) -> Path:
    """Return the staging area that is configured, or the default, which is beside ``database``.

    Raises:
        NotConfiguredError: it is not a folder of this machine.
    """
    for name in _SCHEDULERS:
        staging = configured[name].get("staging_path")
        if staging and "://" in staging:
            raise errors.NotConfiguredError(
                say(
                    "stock-staging-no-folder",
                    "{setting}.staging_path is not a folder on this machine. Copy its "
                    "contents to a folder here, and use --staging.",
                    setting=name,
                )
            )
        if staging:
            return Path(staging)
    return database.parent / stock_database.STAGING_FOLDER


def _show_progress(done: int, total: int) -> None:
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    print(f"{done} of {total} jobs checked", end=end, file=sys.stderr, flush=True)


def _show(report: Report) -> None:
    verb = "would be" if report.dry_run else "were"
    print(f"{report.database}: {_counted(len(report.schedules), report.jobs)} {verb} imported.")
    if report.schedules_there or report.runs_there:
        before = _counted(report.schedules_there, report.runs_there)
        print(f"{before} had been imported before.")
    if report.jobs_without_files:
        print(f"No files are left of {report.jobs_without_files} of the jobs.")
    for item in report.schedules:
        for note in item.notes:
            print(f"schedule {item.name!r}: {note}")
    if report.active:
        print(
            f"{report.active} of the schedules {'is' if report.active == 1 else 'are'} active. A "
            "server that still runs with jupyter-scheduler's own backend fires them too: pause "
            "them there, or stop it."
        )
    _show_items("Could not be imported", report.failures)
    _show_items("Skipped, because they have not ended", report.unfinished)


def _show_items(what: str, items: list[Item]) -> None:
    if items:
        print(f"{what} ({len(items)}):")
    for item in items:
        print(f"  {item.name!r} ({item.stock_id}): {' '.join(item.notes)}")


def _counted(schedules: int, jobs: int) -> str:
    return (
        f"{schedules} schedule{'' if schedules == 1 else 's'} and "
        f"{jobs} job{'' if jobs == 1 else 's'}"
    )
