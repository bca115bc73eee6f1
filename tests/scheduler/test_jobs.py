"""Jobs through jupyter-scheduler's scheduler class, on the real cluster."""

from __future__ import annotations

import asyncio
import json

import pytest
from jupyter_scheduler.exceptions import IdempotencyTokenError, SchedulerError
from jupyter_scheduler.models import (
    CountJobsQuery,
    ListJobsQuery,
    SortDirection,
    SortField,
    Status,
    UpdateJob,
)

from jupyter_kueue.domain.run_request import Resources
from jupyter_kueue.scheduler.downloads import Downloads

pytestmark = pytest.mark.integration

WAITS = {"queue": "team-a", "cpu": "100m", "memory": "256Mi", "gpus": 100}


def blocked(**more):
    """A job that never starts by itself, because no queue has that many GPUs."""
    return {"runtime_environment_parameters": {**WAITS, **more}}


async def test_a_job_from_creation_to_its_files(backend, write_notebook, eventually, root):
    write_notebook(
        "reports/weekly.ipynb",
        "print(repr((amount, label, missing, many)))",
        parameters="amount = label = missing = many = 0",
    )
    job_id = await backend.create(
        "reports/weekly.ipynb",
        name="weekly <b>",
        tags=["finance", "weekly"],
        output_formats=["ipynb", "html", "markdown", "slides"],
        parameters={
            "amount": "5",
            "label": "__import__('os')",
            "missing": "None",
            "many": "[1, 'x']",
        },
        idempotency_token="a token",
    )
    job = await backend.until_finished(job_id, eventually)

    assert job.status == Status.COMPLETED, job.status_message
    assert job.status_message is None
    assert job.downloaded is False
    assert (job.name, job.tags, job.idempotency_token) == (
        "weekly <b>",
        ["finance", "weekly"],
        "a token",
    )
    assert job.input_filename == "weekly.ipynb"
    assert job.url == f"/jobs/{job_id}"
    assert job.create_time <= job.start_time <= job.end_time <= job.update_time
    assert job.parameters["label"] == "__import__('os')"
    staged = await backend.get_staging_paths(job)
    assert set(staged) == {"ipynb", "html", "markdown", "slides", "input"}
    assert staged["input"].endswith(f"/runs/{job_id}/input/weekly.ipynb")

    await Downloads(backend).fetch(job_id)

    job = await backend.get_job(job_id)
    assert job.downloaded is True
    by_format = {file.file_format: file.file_path for file in job.job_files}
    assert by_format["input"] == f"jobs/weekly-{job_id}/weekly.ipynb"
    for output_format in ("ipynb", "html", "markdown", "slides"):
        assert by_format[output_format].endswith(f".{output_format}")
        assert (root / by_format[output_format]).stat().st_size > 0
    executed = json.loads((root / by_format["ipynb"]).read_text())
    text = "".join(executed["cells"][-1]["outputs"][0]["text"])
    assert text == "(5, \"__import__('os')\", None, [1, 'x'])\n"
    names = {path.name for path in (root / f"jobs/weekly-{job_id}").iterdir()}
    assert names == {path.rpartition("/")[2] for path in by_format.values()}


async def test_a_job_of_a_result_runs_the_notebook_that_this_is_the_result_of(
    backend, write_notebook, root
):
    write_notebook("reports/weekly.ipynb", "label", parameters="label = 0")
    first = await backend.create(
        "reports/weekly.ipynb", parameters={"label": "one"}, tags=["old"], **blocked()
    )
    (root / "reports/weekly.ipynb").unlink()
    again = await backend.create(
        f"kueue:{first}/weekly.ipynb",
        name="again",
        parameters={"label": "two"},
        **blocked(gpus=200),
    )
    job = await backend.get_job(again)
    assert (job.name, job.input_filename, job.tags) == ("again", "weekly.ipynb", [])
    assert job.parameters == {"label": "two"}
    assert job.runtime_environment_parameters["gpus"] == 200
    with pytest.raises(SchedulerError, match="input_uri"):
        await backend.create("kueue:no-run/weekly.ipynb")


async def test_what_a_notebook_wrote_comes_along_without_its_folder(
    backend, write_notebook, eventually, root
):
    write_notebook(
        "project/go.ipynb",
        "import os; os.mkdir('made'); open('made/here.csv', 'w').write('made')",
    )
    (root / "project" / "beside.txt").write_text("stays")
    job_id = await backend.create("project/go.ipynb")
    job = await backend.until_finished(job_id, eventually)
    assert [file.file_format for file in job.job_files] == ["ipynb", "input"]

    await Downloads(backend).fetch(job_id)

    folder = root / "jobs" / f"go-{job_id}"
    assert (folder / "made" / "here.csv").read_text() == "made"
    assert not (folder / "beside.txt").exists()
    job = await backend.get_job(job_id)
    assert job.downloaded
    files = job.job_files[-1]
    assert (files.file_format, files.file_path) == ("files", f"jobs/go-{job_id}")


async def test_a_failed_job_says_why_and_its_notebook_can_be_had(
    backend, write_notebook, eventually, root
):
    write_notebook("fails.ipynb", "print('so far')", "1 / 0")
    job = await backend.until_finished(await backend.create("fails.ipynb"), eventually)

    assert job.status == Status.FAILED
    assert "ZeroDivisionError" in job.status_message
    await Downloads(backend).fetch(job.job_id)
    job = await backend.get_job(job.job_id)
    assert job.downloaded
    assert "so far" in (root / job.job_files[0].file_path).read_text()


async def test_a_stopped_job_has_its_partial_notebook(backend, write_notebook, eventually, root):
    write_notebook("long.ipynb", "print('first cell')", "import time; time.sleep(600)")
    job_id = await backend.create("long.ipynb")
    jobs = await backend.runs()

    async def one_cell_is_done():
        return ((await jobs.get(job_id))["progress"] or {}).get("cells_done") == 1

    await eventually(one_cell_is_done)
    with pytest.raises(SchedulerError, match="once it has ended"):
        await Downloads(backend).fetch(job_id)
    assert await backend.count_jobs(CountJobsQuery()) == 1
    await backend.update_job(f"kueue:{job_id}", UpdateJob(status=Status.STOPPED))

    job = await backend.until_finished(job_id, eventually)
    assert job.status == Status.STOPPED
    assert job.status_message is None
    await Downloads(backend).fetch(job_id)
    job = await backend.get_job(job_id)
    assert job.downloaded
    assert "first cell" in (root / job.job_files[0].file_path).read_text()


async def test_a_folder_goes_along_and_comes_back_with_what_was_written(
    backend, write_notebook, eventually, root
):
    write_notebook(
        "project/go.ipynb", "open('made/here.csv', 'w').write(open('data/in.txt').read())"
    )
    (root / "project" / "data").mkdir()
    (root / "project" / "data" / "in.txt").write_text("given")
    (root / "project" / "made").mkdir()
    (root / "project" / "made" / "old.txt").write_text("old")
    job_id = await backend.create("project/go.ipynb", package_input_folder=True)
    job = await backend.until_finished(job_id, eventually)
    assert job.status == Status.COMPLETED, job.status_message
    assert set(job.packaged_files) == {"data/in.txt", "made/old.txt", "made/here.csv"}

    await Downloads(backend).fetch(job_id)

    folder = root / "jobs" / f"go-{job_id}"
    assert (folder / "made" / "here.csv").read_text() == "given"
    assert (folder / "data" / "in.txt").read_text() == "given"
    job = await backend.get_job(job_id)
    assert job.downloaded
    assert job.job_files[-1].file_path == f"jobs/go-{job_id}"


async def test_a_format_that_failed_is_explained_and_the_rest_is_there(
    backend, write_notebook, eventually, root
):
    write_notebook("a.ipynb", "1")
    job_id = await backend.create("a.ipynb", output_formats=["ipynb", "qtpng"])
    job = await backend.until_finished(job_id, eventually)
    assert job.status == Status.COMPLETED

    for _ in range(2):
        with pytest.raises(SchedulerError, match="qtpng"):
            await Downloads(backend).fetch(job_id)
    job = await backend.get_job(job_id)
    assert [file.file_path is not None for file in job.job_files] == [True, False, True]
    assert job.downloaded is False


async def test_a_download_that_cannot_be_written_says_so_and_can_be_repeated(
    backend, write_notebook, eventually, root
):
    write_notebook("a.ipynb", "1")
    job = await backend.until_finished(await backend.create("a.ipynb"), eventually)
    (root / "jobs").write_text("in the way")
    with pytest.raises(SchedulerError, match="could not be written to jobs/"):
        await Downloads(backend).fetch(job.job_id)
    (root / "jobs").unlink()
    await Downloads(backend).fetch(job.job_id)
    assert (await backend.get_job(job.job_id)).downloaded


async def test_downloading_again_replaces_only_when_asked(
    backend, write_notebook, eventually, root
):
    write_notebook("a.ipynb", "1")
    job = await backend.until_finished(await backend.create("a.ipynb"), eventually)
    downloads = Downloads(backend)
    await asyncio.gather(*(downloads.fetch(job.job_id) for _ in range(5)))
    given = root / "jobs" / f"a-{job.job_id}" / "a.ipynb"
    given.write_text("edited")
    await downloads.fetch(job.job_id)
    assert given.read_text() == "edited"
    await downloads.fetch(job.job_id, again=True)
    assert given.read_text() != "edited"


async def test_a_waiting_job_is_queued_and_can_be_stopped_renamed_and_deleted(
    backend, write_notebook, eventually
):
    write_notebook("a.ipynb", "1")
    job_id = await backend.create("a.ipynb", **blocked())
    job = await backend.get_job(job_id)
    assert (job.status, job.status_message) == (Status.QUEUED, None)
    assert job.runtime_environment_parameters == {**WAITS, "memory": "256Mi"}
    await backend.update_job(job_id, UpdateJob(name="another name"))
    assert (await backend.get_job(job_id)).name == "another name"
    with pytest.raises(SchedulerError, match="compute type"):
        await backend.update_job(job_id, UpdateJob(compute_type="gpu"))
    await backend.stop_job(job_id)
    assert (await backend.until_finished(job_id, eventually)).status == Status.STOPPED
    await backend.stop_job(job_id)
    await backend.delete_job(job_id)
    await backend.delete_job(job_id)
    with pytest.raises(SchedulerError, match="There is no run"):
        await backend.get_job(job_id)


async def test_a_token_stands_for_one_job(backend, write_notebook):
    write_notebook("a.ipynb", "1")
    job_id = await backend.create("a.ipynb", idempotency_token="once", **blocked())
    for name in ("a job", "another"):
        with pytest.raises(IdempotencyTokenError, match="idempotency"):
            await backend.create("a.ipynb", idempotency_token="once", name=name, **blocked())
    assert (await backend.list_jobs(ListJobsQuery())).total_count == 1
    assert (await backend.get_job(job_id)).idempotency_token == "once"


async def test_sizes_by_name_and_by_amount(backend, write_notebook):
    write_notebook("a.ipynb", "1")
    jobs = await backend.runs()
    by_name = await backend.create(
        "a.ipynb", compute_type="medium", runtime_environment_parameters={"queue": "team-a"}
    )
    assert jobs.row(by_name)["resources"] == Resources("2", "8Gi", 0)
    assert (await backend.get_job(by_name)).compute_type == "medium"
    both = await backend.create(
        "a.ipynb",
        compute_type="medium",
        runtime_environment_parameters={"queue": "team-a", "cpu": "100m", "gpus": "100"},
    )
    assert jobs.row(both)["resources"] == Resources("100m", "8Gi", 100)
    timed = await backend.create("a.ipynb", **blocked(timeout="60", max_retries=2))
    asked = (await backend.get_job(timed)).runtime_environment_parameters
    assert (asked["timeout"], asked["max_retries"]) == (60, 2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input_uri": "../root2/a.ipynb"}, "input_uri: "),
        ({"input_uri": "none.ipynb"}, "input_uri: "),
        ({"compute_type": "huge", "runtime_environment_parameters": None}, "compute_type: "),
        ({"compute_type": "huge"}, "compute_type: "),
        ({"runtime_environment_name": "conda"}, "runtime_environment_name: "),
        ({"runtime_environment_parameters": {"queue": "none"}}, "queue: "),
        ({"runtime_environment_parameters": {"color": "red"}}, "color: .*queue"),
        ({"runtime_environment_parameters": {"cpu": 0.5}}, "500m"),
        ({"runtime_environment_parameters": {"priority": "none"}}, "priority: "),
        ({"output_formats": ["docx"]}, "output_formats: "),
        ({"parameters": {"class": "1"}}, "parameters.class: "),
        ({"input_filename": "../x.ipynb"}, "input_filename: "),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name(backend, write_notebook, fields, said):
    write_notebook("a.ipynb", "1")
    fields = {"input_uri": "a.ipynb", **fields}
    with pytest.raises(SchedulerError, match=said):
        await backend.create(fields.pop("input_uri"), **fields)
    assert (await backend.list_jobs(ListJobsQuery(max_items=0))).total_count == 0


async def test_lists_filter_sort_and_page(backend, write_notebook):
    made = {}
    for number, (name, path) in enumerate([("b", "x.ipynb"), ("a", "z.ipynb"), ("B2", "y.ipynb")]):
        write_notebook(path, "1")
        made[name] = await backend.create(
            path, name=name, tags=["all", f"t{number}"], **blocked(queue="team-a")
        )
    await backend.stop_job(made["a"])

    async def listed(**query):
        return [job.name for job in (await backend.list_jobs(ListJobsQuery(**query))).jobs]

    def by(name, direction=SortDirection.asc):
        return {"sort_by": [SortField(name=name, direction=direction)]}

    assert await listed() == ["B2", "a", "b"]
    assert await listed(**by("create_time")) == ["b", "a", "B2"]
    assert await listed(**by("name")) == ["B2", "a", "b"]
    assert await listed(**by("input_filename", SortDirection.desc)) == ["a", "B2", "b"]
    two = [*by("status", SortDirection.desc)["sort_by"], *by("name")["sort_by"]]
    assert await listed(sort_by=two) == ["a", "B2", "b"]
    assert await listed(name="b") == ["B2", "b"]
    assert await listed(tags=["t1", "all"]) == ["a"]
    assert await listed(status=Status.QUEUED) == ["B2", "b"]
    assert await listed(start_time=1) == []
    assert await listed(job_definition_id="none") == []
    assert await backend.count_jobs(CountJobsQuery(status=Status.QUEUED)) == 2

    first = await backend.list_jobs(ListJobsQuery(max_items=2))
    await backend.delete_job(made["B2"])
    second = await backend.list_jobs(ListJobsQuery(max_items=2, next_token=first.next_token))
    assert [job.name for job in second.jobs] == ["b"]
    assert (first.total_count, second.total_count, second.next_token) == (3, 2, None)
    nothing = await backend.list_jobs(ListJobsQuery(max_items=0))
    assert (nothing.jobs, nothing.total_count, nothing.next_token) == ([], 2, None)
    for wrong in ({"next_token": "7"}, by("color"), {"max_items": -1}):
        with pytest.raises(SchedulerError):
            await listed(**wrong)


async def test_environments_offer_sizes_and_formats(backend):
    environments = await backend.environments_manager.list_environments()
    assert [item.name for item in environments] == ["default"]
    only = environments[0]
    assert only.label == only.name
    assert only.default_compute_type == only.compute_types[0] == "small"
    assert set(only.compute_types) == {"small", "medium", "gpu"}
    assert {"ipynb", "html", "slides"} <= set(only.output_formats)
    assert set(only.output_formats) <= set(backend.environments_manager.output_formats_mapping())
