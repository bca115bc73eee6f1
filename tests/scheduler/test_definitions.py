"""Job definitions beyond what upstream tests: every field, run now, words for what is wrong."""

from __future__ import annotations

import pytest
from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.models import (
    CreateJobDefinition,
    CreateJobFromDefinition,
    ListJobDefinitionsQuery,
    ListJobsQuery,
    Status,
    UpdateJobDefinition,
)

from jupyter_kueue.domain import names

pytestmark = pytest.mark.integration

SMALL = {"queue": "team-a", "cpu": "100m", "memory": "512Mi"}


@pytest.fixture
def define(backend, write_notebook):
    async def create(*sources, **fields):
        write_notebook("daily.ipynb", *(sources or ["1"]), parameters="region = 'none'")
        asked = {
            "input_uri": "daily.ipynb",
            "name": "daily",
            "runtime_environment_name": "default",
            "runtime_environment_parameters": SMALL,
            **fields,
        }
        return await backend.create_job_definition(CreateJobDefinition(**asked))

    return create


async def test_run_now_with_other_parameters(backend, define, eventually):
    definition_id = await define("assert region == 'north', region", parameters={"region": "south"})
    job_id = await backend.create_job_from_definition(
        definition_id, CreateJobFromDefinition(parameters={"region": "north"})
    )
    as_defined = await backend.create_job_from_definition(definition_id, CreateJobFromDefinition())
    job = await backend.until_finished(job_id, eventually)
    assert job.status == Status.COMPLETED, job.status_message
    assert (job.job_definition_id, job.parameters) == (definition_id, {"region": "north"})
    failed = await backend.until_finished(as_defined, eventually)
    assert failed.status == Status.FAILED
    assert "south" in failed.status_message
    of_it = await backend.list_jobs(ListJobsQuery(job_definition_id=definition_id))
    assert {job.job_id for job in of_it.jobs} == {job_id, as_defined}


async def test_what_only_schedules_have_travels_in_the_environments_parameters(backend, define):
    more = {
        "concurrency_policy": "Allow",
        "starting_deadline_seconds": 60,
        "end_date": "2090-01-01T00:00:00Z",
        "max_runs": 3,
    }
    definition_id = await define(
        schedule="0 9 * * 1-5",
        timezone="Europe/Berlin",
        runtime_environment_parameters={**SMALL, **more},
    )
    asked = (await backend.get_job_definition(definition_id)).runtime_environment_parameters
    assert asked.pop("end_date").startswith("2090-01-01T00:00:00")
    del more["end_date"]
    assert asked == {**SMALL, **more}


async def test_every_field_can_be_changed(backend, define, write_notebook):
    definition_id = await define(schedule="0 9 * * 1-5", timezone="Europe/Berlin")
    write_notebook("other.ipynb", "2")
    await backend.update_job_definition(
        definition_id,
        UpdateJobDefinition(
            name="another",
            input_uri="other.ipynb",
            schedule="0 10 * * *",
            timezone="UTC",
            tags=["t"],
            parameters={"region": "east"},
            output_formats=["ipynb", "html"],
            compute_type="medium",
            runtime_environment_parameters={"queue": "team-b", "cpu": "200m"},
            active=False,
        ),
    )
    definition = await backend.get_job_definition(definition_id)
    assert definition.name == "another"
    assert definition.input_filename == "other.ipynb"
    assert (definition.schedule, definition.timezone) == ("0 10 * * *", "UTC")
    assert (definition.tags, definition.active) == (["t"], False)
    assert definition.parameters == {"region": "east"}
    assert definition.output_formats == ["ipynb", "html"]
    assert definition.runtime_environment_parameters == {
        "queue": "team-b",
        "cpu": "200m",
        "memory": "8Gi",
    }
    await backend.update_job_definition(definition_id, UpdateJobDefinition(compute_type="small"))
    definition = await backend.get_job_definition(definition_id)
    assert definition.compute_type == "small"
    assert definition.runtime_environment_parameters == {"queue": "team-b"}


async def test_the_name_that_the_edit_form_sends_back_leaves_the_notebook_as_it_was_taken(
    backend, write_notebook, root
):
    async def define(path):
        write_notebook(path, "1")
        asked = {"runtime_environment_name": "default", "runtime_environment_parameters": SMALL}
        model = CreateJobDefinition(input_uri=path, name="daily", **asked)
        return await backend.create_job_definition(model)

    async def edited(definition_id):
        shown = (await backend.get_job_definition(definition_id)).input_filename
        await backend.update_job_definition(
            definition_id, UpdateJobDefinition(schedule="0 10 * * *", input_uri=shown)
        )
        schedules = await backend.schedules()
        [taken] = await schedules.inputs(definition_id)
        return (await schedules.get(definition_id))["schedule"], taken["sha256"]

    in_folder, in_root = await define("reports/daily.ipynb"), await define("daily.ipynb")
    [before] = await (await backend.schedules()).inputs(in_folder)
    write_notebook("reports/daily.ipynb", "changed since")
    write_notebook("daily.ipynb", "changed since")
    assert await edited(in_folder) == ("0 10 * * *", before["sha256"])
    # One in the root folder is named in full, and taken anew while it is there, as upstream has it.
    schedule, anew = await edited(in_root)
    assert anew != before["sha256"]
    (root / "daily.ipynb").unlink()
    assert await edited(in_root) == (schedule, anew)


async def test_its_jobs_are_deleted_with_it(backend, define, eventually):
    definition_id = await define("import time; time.sleep(3600 if region == 'none' else 0)")
    run = backend.create_job_from_definition
    finished = await run(definition_id, CreateJobFromDefinition(parameters={"region": "north"}))
    await backend.until_finished(finished, eventually)
    running = await run(definition_id, CreateJobFromDefinition())
    jobs = await backend.runs()
    await eventually(lambda: jobs.row(running)["state"] == "running")
    of_another = await backend.create("daily.ipynb", runtime_environment_parameters=SMALL)

    await backend.delete_job_definition(definition_id)

    listed = await backend.list_jobs(ListJobsQuery())
    assert [job.job_id for job in listed.jobs] == [of_another]
    with pytest.raises(SchedulerError):
        await backend.get_job_definition(definition_id)


async def test_a_job_made_in_the_last_moment_goes_with_its_definition(
    backend, define, local_cluster, namespace, eventually
):
    def in_cluster(kind):
        return local_cluster.get(kind, "-n", namespace.name)["items"]

    definition_id = await define(schedule="0 9 1 1 *")
    [cron_job] = in_cluster("cronjobs")
    await backend.delete_job_definition(definition_id)
    # What the controller does that has not seen the deletion yet.
    template = cron_job["spec"]["jobTemplate"]
    name = f"{cron_job['metadata']['name']}-31000000"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**template["metadata"], "name": name, "namespace": namespace.name},
        "spec": template["spec"],
    }
    local_cluster.apply([job])
    await eventually(lambda: not in_cluster("jobs"))
    assert (await backend.list_jobs(ListJobsQuery())).jobs == []


async def test_a_job_of_somebody_else_that_names_the_definition_stays(
    backend, define, local_cluster, namespace
):
    definition_id = await define()
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "any"}]}
    labels = {
        names.LABEL_SCHEDULE_ID: definition_id,
        names.LABEL_OWNER: "somebody-else",
        names.KUEUE_QUEUE_NAME: "team-a",
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "theirs", "namespace": namespace.name, "labels": labels},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    local_cluster.apply([job])
    await backend.delete_job_definition(definition_id)
    [left] = local_cluster.get("jobs", "-n", namespace.name)["items"]
    assert left["metadata"]["name"] == "theirs"
    assert "deletionTimestamp" not in left["metadata"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schedule": "every day"}, "schedule: "),
        ({"schedule": "0 9 * * *", "timezone": "Mars/Base"}, "timezone: "),
        ({"input_uri": "none.ipynb"}, "input_uri: "),
        ({"runtime_environment_parameters": {"max_runs": "many"}}, "max_runs: "),
        ({"runtime_environment_parameters": {"color": "red"}}, "color: .*max_runs"),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(backend, define, fields, said):
    with pytest.raises(SchedulerError, match=said):
        await define(**fields)
    listed = await backend.list_job_definitions(ListJobDefinitionsQuery())
    assert listed.total_count == 0
