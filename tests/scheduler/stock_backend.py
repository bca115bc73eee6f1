"""A program that uses jupyter-scheduler's own backend, as a server without this package does.

    python stock_backend.py DATA_DIR ROOT_DIR

Prints the ids of what it made as JSON. jupyter-scheduler's classes write the database and the
staging area, and execute the notebooks; only the process that each job gets there is left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jupyter_scheduler.environments import StaticEnvironmentManager
from jupyter_scheduler.executors import DefaultExecutionManager
from jupyter_scheduler.models import (
    CreateJob,
    CreateJobDefinition,
    DescribeJob,
    Status,
    UpdateJobDefinition,
)
from jupyter_scheduler.orm import Job, create_tables
from jupyter_scheduler.scheduler import Scheduler
from traitlets.config import Config

from tests.support import notebooks

BASICS = {"runtime_environment_name": "conda-lab", "output_formats": ["ipynb"]}


class Stock:
    """The backend in one data folder."""

    def __init__(self, data: Path, root: Path) -> None:
        self.root = root
        self.staging = data / "scheduler_staging_area"
        self.url = f"sqlite:///{data}/scheduler.sqlite"
        create_tables(self.url)
        self.scheduler = Scheduler(
            root_dir=str(root),
            environments_manager=StaticEnvironmentManager(),
            db_url=self.url,
            config=Config(
                {"Scheduler": {"task_runner_class": None, "staging_path": str(self.staging)}}
            ),
        )

    def write_notebook(self, path: str, *sources: str, parameters: str | None = None) -> str:
        return notebooks.write_notebook(self.root, path, *sources, parameters=parameters)

    def job(self, path: str, *, status: Status | None = None, **fields: Any) -> str:
        """Do what ``Scheduler.create_job`` and the process of a job do; with ``status`` no run."""
        model = CreateJob(input_uri=path, **{**BASICS, "name": path, **fields})
        with self.scheduler.db_session() as session:
            job = Job(**model.dict(exclude_none=True, exclude={"input_uri"}))
            if status is not None:
                job.status = status
            session.add(job)
            session.commit()
            paths = self.scheduler.get_staging_paths(DescribeJob.from_orm(job))
            if model.package_input_folder:
                job.packaged_files = self.scheduler.copy_input_folder(path, paths["input"])
                session.commit()
            else:
                self.scheduler.copy_input_file(path, paths["input"])
            job_id: str = job.job_id
        if status is None:
            DefaultExecutionManager(job_id, str(self.root), self.url, paths).process()
        return job_id

    def definition(self, path: str, **fields: Any) -> str:
        asked = {**BASICS, "name": path, **fields}
        active = asked.pop("active", True)
        definition_id: str = self.scheduler.create_job_definition(
            CreateJobDefinition(input_uri=path, **asked)
        )
        if not active:
            self.scheduler.update_job_definition(definition_id, UpdateJobDefinition(active=False))
        return definition_id


def main(data: Path, root: Path) -> None:
    stock = Stock(data, root)
    (root / "deep" / "data").mkdir(parents=True)
    (root / "deep" / "data" / "numbers.csv").write_text("1,2,3\n")
    report = stock.write_notebook(
        "report.ipynb",
        "print('alpha is', alpha)",
        "open('made.csv', 'w').write('made by the notebook')",
        parameters="alpha = 1",
    )
    folder = stock.write_notebook("deep/folder.ipynb", "print(open('data/numbers.csv').read())")
    failing = stock.write_notebook("failing.ipynb", "1 + 1", "1 / 0")
    gone = stock.write_notebook("gone.ipynb", "1")
    made = {
        "weekly": stock.definition(
            folder,
            name="weekly",
            schedule="0 9 * * 1",
            timezone="Europe/Berlin",
            tags=["reports", "slow"],
            parameters={"alpha": "5", "name": '"text"', "when": "datetime.now()"},
            output_formats=["ipynb", "html"],
            package_input_folder=True,
        ),
        "paused": stock.definition(report, name="paused", schedule="@daily", active=False),
        "on demand": stock.definition(report, name="on demand"),
        "bad cron": stock.definition(report, name="bad cron", schedule="61 * * * *"),
        "vanished": stock.definition(gone, name="vanished", schedule="0 0 * * *"),
    }
    made |= {
        "report": stock.job(
            report,
            name="the report",
            tags=["reports"],
            parameters={"alpha": "5"},
            output_formats=["ipynb", "html"],
            job_definition_id=made["weekly"],
        ),
        "folder": stock.job(folder, name="with its folder", package_input_folder=True),
        "failing": stock.job(failing, name="fails"),
        "stopped": stock.job(report, name="was stopped", status=Status.STOPPED),
        "running": stock.job(report, name="goes on", status=Status.IN_PROGRESS),
    }
    (stock.staging / made["paused"] / "report.ipynb").unlink()
    (stock.staging / made["vanished"] / "gone.ipynb").unlink()
    (root / "gone.ipynb").unlink()
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
