"""``jupyter kueue import``: what jupyter-scheduler's own backend made, on the real cluster."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_scheduler.orm import Job, JobDefinition, create_session
from sqlalchemy import select

from jupyter_kueue.cli import configuration, stock_import
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.scheduler import stock_jobs
from tests.server.conftest import running_server
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Namespace
    from tests.server.conftest import Server

# Each import is a process of its own, which takes its time where processors are busy.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

BOTH = {"jupyter_kueue": True, "jupyter_scheduler": True}
OWNER = Owner.of("tess")
PROGRAM = Path(__file__).with_name("stock_backend.py")
MANY = 220
# The definitions that no schedule can be made of.
IMPOSSIBLE = {"bad cron", "vanished"}


def environment(namespace: Namespace, folder: Path) -> dict[str, str]:
    """Return what both a server and the command line of one user have around them."""
    return {
        **namespace.env,
        "JUPYTERHUB_USER": "tess",
        "JUPYTER_KUEUE_RESYNC_SECONDS": "1",
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
    }


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder in which jupyter-scheduler's own backend was used, and the ids of what it made."""
    folder = tmp_path_factory.mktemp("stock")
    for name in ("data", "root"):
        (folder / name).mkdir()
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder / "data"), str(folder / "root")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture
def folder(stock: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    """A copy of it for one test."""
    there = tmp_path / "lab"
    shutil.copytree(stock[0], there)
    return there


@pytest.fixture
def made(stock: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """The ids of what the stock backend made, by name."""
    return stock[1]


@pytest.fixture
def run_import(cli: Callable[..., Any], namespace: Namespace, folder: Path) -> Callable[..., Any]:
    """Runs the command and returns its report; each tells of definitions that cannot be."""

    def run(*options: str) -> Any:
        around = {**os.environ, **environment(namespace, folder)}
        root = ("--root-dir", str(folder / "root"))
        done = cli("import", "--json", *root, *options, check=False, env=around)
        assert done.returncode == 1, done.stderr
        return json.loads(done.stdout)

    return run


@contextlib.contextmanager
def server_in(folder: Path, namespace: Namespace) -> Iterator[Server]:
    with running_server(folder, environment(namespace, folder), extensions=BOTH) as server:
        until(lambda: server.request("GET", "runs").status, holds=lambda status: status == 200)
        yield server


def test_everything_comes_over_while_a_server_runs(namespace, folder, made, run_import, cli):
    with server_in(folder, namespace) as server:
        database = folder / "data" / "scheduler.sqlite"
        assert server.request("GET", "stock-backend").json == {
            "database": str(database),
            "jobs": 4,
            "schedules": 5,
            "problem": None,
            "problem_sentence": None,
        }
        planned = run_import("--dry-run")
        assert planned["dry_run"]
        assert (planned["jobs"], len(planned["schedules"])) == (4, 3)
        for kind in ("jobs", "job_definitions"):
            assert server.request("GET", f"/scheduler/{kind}").json["total_count"] == 0

        check_report(run_import(), made)
        listed = until(
            lambda: server.request("GET", "/scheduler/jobs").json,
            holds=lambda found: found["total_count"] == 4,
        )
        jobs = {job["name"]: job for job in listed["jobs"]}
        assert {name: job["status"] for name, job in jobs.items()} == {
            "the report": "COMPLETED",
            "with its folder": "COMPLETED",
            "fails": "FAILED",
            "was stopped": "STOPPED",
        }
        assert jobs["the report"]["job_id"] == made["report"]
        check_times(folder, jobs)
        check_definitions(server, folder, made, jobs)
        check_files(server, folder, jobs)
        check_failure(server, made)
        until(
            lambda: server.request("GET", "stock-backend").json,
            holds=lambda found: (found["jobs"], found["schedules"]) == (0, len(IMPOSSIBLE)),
        )

        # Nothing comes twice, and what is deleted here does not come back.
        assert server.request("DELETE", f"runs/{made['stopped']}").status == 204
        text = cli(
            "import", check=False, env={**os.environ, **environment(namespace, folder)}
        ).stdout
        assert "0 schedules and 0 jobs were imported." in text
        assert "3 schedules and 4 jobs had been imported before." in text
        assert "Could not be imported (2):" in text
        assert "Skipped, because they have not ended (1):" in text
        assert server.request("GET", "/scheduler/jobs").json["total_count"] == 3
        assert server.request("GET", "/scheduler/job_definitions").json["total_count"] == 3

        # Run again: from what it had, with what it had.
        job = server.request("POST", f"runs/{made['report']}/rerun", {"local_queue": "team-a"}).json
        ended = until(
            lambda: server.request("GET", f"runs/{job['run_id']}").json,
            holds=lambda found: found["finished_at"] is not None,
        )
        assert ended["state"] == "succeeded", ended["message"]

        database.write_bytes(b"damaged " * 1000)
        until(
            lambda: server.request("GET", "stock-backend").json["problem"],
            holds=lambda problem: problem is not None and "is not a SQLite database" in problem,
        )
        database.unlink()
        until(
            lambda: server.request("GET", "stock-backend").json,
            holds=lambda found: found["database"] is None and found["problem"] is None,
        )


def check_report(report: Any, made: dict[str, str]) -> None:
    assert report["jobs"] == 4
    assert {item["name"] for item in report["schedules"]} == {"weekly", "paused", "on demand"}
    assert [item["stock_id"] for item in report["unfinished"]] == [made["running"]]
    assert "IN_PROGRESS" in report["unfinished"][0]["notes"][0]
    reasons = {item["name"]: item["notes"][0] for item in report["failures"]}
    assert set(reasons) == IMPOSSIBLE
    assert "schedule:" in reasons["bad cron"]
    assert "gone.ipynb does not exist" in reasons["vanished"]
    notes = {item["name"]: item["notes"] for item in report["schedules"]}
    assert any("conda-lab" in note for note in notes["weekly"])
    assert any("when was code (datetime.now())" in note for note in notes["weekly"])


def rows(folder: Path, table: Any) -> list[Any]:
    with create_session(f"sqlite:///{folder}/data/scheduler.sqlite")() as session:
        return list(session.execute(select(table)).scalars())


def check_times(folder: Path, jobs: dict[str, Any]) -> None:
    for row in rows(folder, Job):
        if row.name in jobs:
            job = jobs[row.name]
            assert job["create_time"] == row.create_time
            assert job.get("start_time") == row.start_time
            assert job["end_time"] == (row.end_time or row.update_time)


def check_definitions(
    server: Server, folder: Path, made: dict[str, str], jobs: dict[str, Any]
) -> None:
    listed = server.request("GET", "/scheduler/job_definitions").json["job_definitions"]
    definitions = {item["name"]: item for item in listed}
    weekly = definitions["weekly"]
    for row in rows(folder, JobDefinition):
        if row.name in definitions:
            shown = definitions[row.name]
            for field in ("schedule", "timezone", "active"):
                assert shown.get(field) == getattr(row, field), (row.name, field)
    assert set(weekly["tags"]) == {"reports", "slow"}
    assert weekly["parameters"] == {"alpha": "5", "name": "text", "when": "datetime.now()"}
    assert weekly["output_formats"] == ["ipynb", "html"]
    assert weekly["runtime_environment_name"] == "default"
    whole = server.request("GET", f"/scheduler/job_definitions/{weekly['job_definition_id']}").json
    assert whole["packaged_files"] == ["data/numbers.csv"]
    assert weekly["job_definition_id"] == stock_jobs.schedule_id(OWNER, made["weekly"])
    assert jobs["the report"]["job_definition_id"] == weekly["job_definition_id"]


def check_files(server: Server, folder: Path, jobs: dict[str, Any]) -> None:
    """The files are downloaded under the names that the stock backend gave them."""
    for name in ("the report", "with its folder"):
        job = jobs[name]
        assert not job["downloaded"]
        path = f"/scheduler/jobs/{job['job_id']}"
        assert server.request("GET", f"{path}/download_files").status == 204
        assert server.request("GET", path).json["downloaded"]
        staged = folder / "data" / "scheduler_staging_area" / job["job_id"]
        stem = job["input_filename"].removesuffix(".ipynb")
        downloaded = server.root / "jobs" / f"{stem}-{job['job_id']}"
        for file in staged.rglob("*"):
            if file.is_file():
                there = downloaded / file.relative_to(staged)
                assert there.read_bytes() == file.read_bytes()


def check_failure(server: Server, made: dict[str, str]) -> None:
    shown = server.request("GET", f"/scheduler/jobs/{made['failing']}").json
    assert shown["status_message"] == "A cell failed: ZeroDivisionError: division by zero"
    job = server.request("GET", f"runs/{made['failing']}").json
    assert job["reason"] == "notebook-failed"
    assert job["error"]["cell_source"] == "1 / 0"
    assert job["local_queue"] == stock_jobs.RAN_IN
    assert [file["role"] for file in (*job["files"], *job["inputs"])] == ["notebook", "input"]


def test_an_import_that_is_killed_is_finished_by_the_next(namespace, folder, run_import, made):
    add_finished_jobs(folder, MANY)
    command = [sys.executable, "-m", "jupyter_kueue.cli", "import"]
    with subprocess.Popen(
        [*command, "--root-dir", str(folder / "root")],
        env={**os.environ, **environment(namespace, folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("100 of"):
                break
        else:
            pytest.fail("it ended before it was killed")
        # In the middle of the next hundred.
        process.send_signal(signal.SIGKILL)
    report = run_import()
    assert 100 <= report["runs_there"] < MANY
    assert report["jobs"] + report["runs_there"] == MANY + 4
    assert report["schedules_there"] == 3
    with server_in(folder, namespace) as server:
        listed = until(
            lambda: server.request("GET", "runs?limit=500").json,
            holds=lambda found: found["total"] == MANY + 4,
        )
        assert {item["state"] for item in listed["items"]} == {"succeeded", "failed", "stopped"}
        one = next(item for item in listed["items"] if item["name"].startswith("many"))
        inputs = server.request("GET", f"runs/{one['run_id']}/inputs").json["items"]
        assert [file["path"] for file in inputs] == ["many.ipynb"]
        download = server.request("GET", f"/scheduler/jobs/{one['run_id']}/download_files")
        assert "no longer in jupyter-scheduler's staging area" in download.json["message"]


def add_finished_jobs(folder: Path, count: int) -> None:
    url = f"sqlite:///{folder}/data/scheduler.sqlite"
    notebook = (folder / "root" / "failing.ipynb").read_bytes()
    with create_session(url)() as session:
        for number in range(count):
            job_id = str(uuid.uuid4())
            session.add(
                Job(
                    job_id=job_id,
                    name=f"many {number}",
                    input_filename="many.ipynb",
                    runtime_environment_name="conda-lab",
                    output_formats=["ipynb"],
                    status="COMPLETED",
                )
            )
            staged = folder / "data" / "scheduler_staging_area" / job_id
            staged.mkdir()
            (staged / "many.ipynb").write_bytes(notebook)
        session.commit()


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Gives what a Jupyter configuration file with these lines says."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))

    def load(*lines):
        (tmp_path / "jupyter_server_config.py").write_text("\n".join(lines))
        return configuration.load()

    return load


def test_database_and_staging_area_are_in_jupyters_data_folder_by_default(configured, tmp_path):
    database = stock_import.configured_database(configured())
    assert database == tmp_path / "data" / "scheduler.sqlite"
    staging = stock_import.configured_staging(configured(), database)
    assert staging == tmp_path / "data" / "scheduler_staging_area"


def test_a_configured_database_is_found(configured):
    given = configured("c.SchedulerApp.db_url = 'sqlite:////srv/jobs.sqlite'")
    assert stock_import.configured_database(given) == Path("/srv/jobs.sqlite")


def test_a_configured_staging_area_is_found(configured, tmp_path):
    given = configured("c.Scheduler.staging_path = '/srv/staging'")
    assert stock_import.configured_staging(given, tmp_path / "a.sqlite") == Path("/srv/staging")


def test_a_database_that_is_not_sqlite_has_to_be_given(configured):
    given = configured("c.SchedulerApp.db_url = 'mysql://somewhere/jobs'")
    with pytest.raises(errors.NotConfiguredError, match="--database"):
        stock_import.configured_database(given)


def test_a_staging_area_elsewhere_has_to_be_given(configured, tmp_path):
    given = configured("c.Scheduler.staging_path = 's3://bucket/staging'")
    with pytest.raises(errors.NotConfiguredError, match="--staging"):
        stock_import.configured_staging(given, tmp_path / "a.sqlite")
