"""Rows as DescribeJobs."""

from __future__ import annotations

import json
import time

import pytest
from jupyter_scheduler.models import CreateJob, DescribeJob, JobFile, Status
from jupyter_scheduler.utils import create_output_filename

from jupyter_kueue.domain import run_request, run_row
from jupyter_kueue.scheduler import job_models

ROW = {
    "run_id": "6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
    "name": "n",
    "state": "queued",
    "reason": "waiting",
    "message": "a sentence",
    "schedule_id": None,
    "tags": [],
    "warnings": [],
    "created_at": "2030-01-31T22:30:05.250Z",
    "started_at": None,
    "finished_at": None,
}


def row(state="queued", **asked):
    model = CreateJob(
        **{"input_uri": "a/weekly.v2.ipynb", "name": "n", "runtime_environment_name": "", **asked}
    )
    body = job_models.request_body(model, "/root")
    return {**ROW, "state": state, "request": run_request.parse_run_request(body)}


@pytest.fixture
def in_zone(monkeypatch):
    """Puts this process into a time zone."""

    def put(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


def test_every_state_has_a_status_and_only_a_failure_a_message():
    assert set(job_models.STATUSES) == set(run_row.STATES)
    for state, status in job_models.STATUSES.items():
        job = job_models.describe(row(state))
        assert job.status == status
        assert job.status_message == ("a sentence" if status == Status.FAILED else None)


def test_output_files_are_named_as_upstream_names_them_and_keep_their_names(in_zone):
    in_zone("Asia/Tokyo")
    asked = row()
    job = job_models.describe(asked)
    upstreams = create_output_filename(job.input_filename, job.create_time, "html")
    assert job.output_filename("html") == upstreams == "weekly.v2-2030-02-01-07-30-05-AM.html"
    in_zone("America/New_York")
    assert job_models.describe(asked).output_filename("html") == upstreams


def test_a_template_and_a_name_are_kept():
    asked = {"output_filename_template": "{{name}}", "input_filename": "other.ipynb"}
    job = job_models.describe(row(**asked))
    assert job.output_filename_template == "{{name}}"
    assert job.input_filename == "other.ipynb"
    assert job_models.describe(row()).output_filename_template == (
        "{{input_filename}}-{{create_time}}"
    )


def test_what_is_shown_can_be_sent_again():
    asked = row(
        parameters={"n": "5", "text": '"5"', "word": "north", "nothing": "None"},
        runtime_environment_parameters={
            "queue": "team-a",
            "cpu": "500m",
            "timeout": 60,
            "kernel": "ir",
        },
        tags=["t"],
    )
    job = job_models.describe(asked)
    assert job.parameters == {"n": "5", "text": '"5"', "word": "north", "nothing": "null"}
    again = row(
        parameters=job.parameters,
        runtime_environment_parameters=job.runtime_environment_parameters,
        tags=["t"],
    )
    assert again["request"] == asked["request"]


def test_the_servers_folder_is_not_told():
    assert "tess" not in job_models.root_mark("/home/tess")


def test_it_is_told_as_any_describe_job_is():
    job = job_models.describe(row("failed", tags=["x"], parameters={"n": "5"}))
    job.job_files = [
        JobFile(display_name="Notebook", file_format="ipynb", file_path="jobs/a/a.ipynb"),
        JobFile(display_name="HTML", file_format="html", file_path=None),
    ]
    for options in ({}, {"exclude_none": True}, {"exclude": {"tags"}}, {"exclude_defaults": True}):
        assert job.dict(**options) == DescribeJob.dict(job, **options)
        plain = DescribeJob(**DescribeJob.dict(job))
        assert json.loads(job.json(**options)) == json.loads(plain.json(**options))
