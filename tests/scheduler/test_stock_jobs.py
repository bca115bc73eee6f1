"""Rows and files of jupyter-scheduler's own backend, as they become finished runs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts, ClusterFacts, Limits
from jupyter_kueue.domain.run_status import derive
from jupyter_kueue.scheduler import stock_files, stock_jobs
from jupyter_kueue.scheduler.stock_jobs import StockJob, Uploaded

if TYPE_CHECKING:
    from pathlib import Path

OWNER = Owner.of("tess")
CREATED = 1_700_000_000_123  # 2023-11-14 22:13:20.123 UTC
ID = "0b0a3f4e-3d3c-4a51-9df5-2f9a3d9f7a10"
COLUMNS = (
    *("job_id", "job_definition_id", "status", "status_message", "start_time", "end_time"),
    *("runtime_environment_name", "runtime_environment_parameters", "compute_type", "name"),
    *("output_formats", "tags", "parameters", "output_filename_template", "update_time"),
    "package_input_folder",
)
CELL_FAILED = """\
An error occurred while executing the following cell:
------------------
1 / 0
------------------

\x1b[0;31m----------------------\x1b[0m
\x1b[0;31mZeroDivisionError\x1b[0m: division by zero
"""


def row(**columns: Any) -> dict[str, Any]:
    given = {"input_filename": "a.ipynb", "create_time": CREATED, "status": "COMPLETED"}
    return {**dict.fromkeys(COLUMNS), **given, **columns}


def facts(*, formats: frozenset[str] = frozenset(), **columns: Any) -> BucketFacts:
    return stock_jobs.build_facts(
        StockJob.read(row(**columns), ID),
        OWNER,
        "default",
        Uploaded((), (), formats, {}),
        environments=("default", "known"),
        kernel_name="python3",
        utc_offset="+0100",
    )


def shown(found: BucketFacts) -> tuple[str, str | None, str | None]:
    """Return what is shown of a job, which its result and its recorded end must agree about."""
    ended = derive(found, ClusterFacts(), dt.datetime.now(dt.UTC), Limits())
    assert found.final is not None
    assert found.final["finished_at"] == ended.finished_at
    assert found.final["state"] == ended.state
    return ended.state, ended.reason, ended.message


def test_a_row_of_few_columns_is_enough():
    found = facts()
    assert shown(found) == ("succeeded", None, None)
    assert found.record.run_id == ID
    assert found.record.name == "a"
    assert found.record.created_at == "2023-11-14T22:13:20.123Z"
    assert found.record.request.output_formats == ("ipynb",)
    assert found.record.schedule_id is None
    assert found.result is not None
    assert found.result["ended_at"] == "2023-11-14T22:13:20.123Z"


def test_a_failed_cell_is_told_as_ours_are():
    failed = {"status": "FAILED", "status_message": CELL_FAILED, "update_time": CREATED + 1000}
    for formats in (frozenset({"ipynb"}), frozenset()):
        found = facts(formats=formats, **failed)
        state, reason, message = shown(found)
        assert (state, reason) == ("failed", "notebook-failed" if formats else None)
        assert message == "A cell failed: ZeroDivisionError: division by zero"
    assert found.result is None


def test_other_failures_are_told_in_their_first_line():
    found = facts(status="FAILED", status_message="No such kernel named r\nand more")
    assert shown(found) == ("failed", None, "No such kernel named r")
    assert shown(facts(status="FAILED"))[2] == (
        "It failed, and jupyter-scheduler did not record why."
    )


def test_a_stopped_job_is_stopped():
    found = facts(status="STOPPED", formats=frozenset({"ipynb"}))
    assert shown(found) == ("stopped", "stopped", "Stopped.")
    assert found.result is None


def test_values_become_literals_and_unknown_environments_the_default_one():
    found = facts(
        parameters='{"a": "5", "b": "text"}',
        tags='["x"]',
        output_formats='["html"]',
        runtime_environment_name="conda",
        job_definition_id="some-other-id",
    )
    request = found.record.request
    assert request.parameters == {"a": 5, "b": "text"}
    assert request.environment is None
    assert request.annotations[stock_jobs.ENVIRONMENT] == "conda"
    assert facts(runtime_environment_name="known").record.request.environment == "known"
    assert found.record.schedule_id == stock_jobs.schedule_id(OWNER, "some-other-id")
    assert found.result is not None
    assert set(found.result["format_errors"]) == {"html"}


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"input_filename": None}, "input_filename"),
        ({"input_filename": "../a.ipynb"}, "input_filename"),
        ({"create_time": None}, "create_time"),
        ({"create_time": "yesterday"}, "create_time"),
        ({"start_time": 10**30}, "start_time"),
        ({"parameters": "{"}, "parameters is not JSON"),
        ({"tags": '{"a": 1}'}, "tags is not as"),
    ],
)
def test_a_damaged_row_says_which_column_it_is(columns: dict[str, Any], problem: str):
    with pytest.raises(ValueError, match=problem):
        stock_jobs.build_facts(
            StockJob.read(row(**columns), ID),
            OWNER,
            "default",
            Uploaded((), (), frozenset(), {}),
            environments=(),
            kernel_name=None,
            utc_offset="+0000",
        )


def test_files_are_found_in_whatever_zone_they_were_named(tmp_path: Path):
    folder = tmp_path / ID
    (folder / "data").mkdir(parents=True)
    for name in (
        "a.ipynb",
        "a-2023-11-15-03-43-20-AM.ipynb",
        "a-2023-11-15-03-43-20-AM.html",
        "data/made.csv",
    ):
        (folder / name).write_text(name)
    (folder / "link").symlink_to(tmp_path)
    (folder / "dangling").symlink_to(tmp_path / "nothing")
    created = dt.datetime.fromtimestamp(CREATED / 1000, dt.UTC)
    found = stock_files.find(tmp_path, ID, "a.ipynb", ("ipynb", "html", "pdf"), created)
    assert found.utc_offset == "+0530"
    assert found.notebook == folder / "a.ipynb"
    assert set(found.documents) == {"ipynb", "html"}
    assert found.others == {"data/made.csv": folder / "data" / "made.csv"}
    assert set(found.left_out) == {"dangling", "link"}


def test_where_the_folder_is_gone_nothing_is_found(tmp_path: Path):
    created = dt.datetime.fromtimestamp(CREATED / 1000, dt.UTC)
    found = stock_files.find(tmp_path, ID, "a.ipynb", ("ipynb",), created)
    assert found.notebook is None
    assert not found.documents
    for bad in ("", "..", "a/b"):
        with pytest.raises(ValueError, match="folder"):
            stock_files.folder_of(tmp_path, bad)
