"""Upstream's 14 tests of its scheduler class, by the same names, seeded through the API.

Theirs write rows into a database and read them back; here the cluster and the bucket are what is
written to. docs/jupyter-scheduler.md has what differs, test by test.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import jupyter_scheduler
import pytest
from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.models import (
    CreateJobDefinition,
    ListJobDefinitionsQuery,
    SortDirection,
    SortField,
    UpdateJobDefinition,
)

pytestmark = pytest.mark.integration

STATIC = Path(jupyter_scheduler.__file__).parent / "tests" / "static"
SMALL = {"queue": "team-a", "cpu": "100m", "memory": "256Mi", "gpus": 100}


@pytest.fixture
def root_dir_with_input_folder(root):
    dependencies = root / "job-5" / "a" / "b"
    dependencies.mkdir(parents=True)
    shutil.copy2(STATIC / "import-helloworld.ipynb", root / "job-5")
    shutil.copy2(STATIC / "helloworld.txt", dependencies)
    return "job-5/import-helloworld.ipynb"


@pytest.fixture
def define(backend, root):
    """Creates definitions as upstream's rows have them."""

    async def create(number=1, **fields):
        name = f"helloworld_{number}.ipynb"
        shutil.copy2(STATIC / "helloworld.ipynb", root / name)
        asked = {
            "input_uri": name,
            "name": f"hello world {number}",
            "runtime_environment_name": "default",
            "runtime_environment_parameters": SMALL,
            "output_formats": ["ipynb"],
            "schedule": "0 0 1 1 *",
            "timezone": "America/Los_Angeles",
            **fields,
        }
        return await backend.create_job_definition(CreateJobDefinition(**asked))

    return create


@pytest.fixture
async def three(backend, define):
    """Upstream's three definitions; the third is paused."""
    ids = [
        await define(1),
        await define(2, tags=["tag_2"]),
        await define(3, tags=["tag_3"]),
    ]
    await backend.update_job_definition(ids[2], UpdateJobDefinition(active=False))
    return ids


async def test_create_job_definition(backend, define):
    job_definition_id = await define(1, schedule=None, timezone=None)
    listed = (await backend.list_job_definitions(ListJobDefinitionsQuery())).job_definitions
    assert [item.job_definition_id for item in listed] == [job_definition_id]
    definition = listed[0]
    assert definition.input_filename == "helloworld_1.ipynb"
    assert definition.runtime_environment_name == "default"
    assert definition.name == "hello world 1"
    assert definition.schedule is None


async def test_create_job_definition_with_input_folder(backend, root_dir_with_input_folder):
    job_definition_id = await backend.create_job_definition(
        CreateJobDefinition(
            input_uri=root_dir_with_input_folder,
            runtime_environment_name="default",
            runtime_environment_parameters=SMALL,
            name="import hello world",
            output_formats=["ipynb"],
            package_input_folder=True,
        )
    )
    definition = await backend.get_job_definition(job_definition_id)
    assert definition.name == "import hello world"
    assert definition.packaged_files == ["a/b/helloworld.txt"]
    staged = await backend.get_staging_paths(definition)
    assert staged["input"].endswith("/import-helloworld.ipynb")


async def test_create_job_with_input_folder(backend, root_dir_with_input_folder):
    job_id = await backend.create(
        root_dir_with_input_folder,
        name="import hello world",
        runtime_environment_parameters=SMALL,
        package_input_folder=True,
    )
    job = await backend.get_job(job_id)
    assert job.name == "import hello world"
    assert job.runtime_environment_name == "default"
    assert "a/b/helloworld.txt" in job.packaged_files


async def names(backend, **query):
    found = await backend.list_job_definitions(ListJobDefinitionsQuery(**query))
    return [item.name[-1] for item in found.job_definitions], found


# One test for upstream's six cases: the three definitions are made once.
async def test_list_job_definitions(backend, three):
    second = await backend.get_job_definition(three[1])
    shown, found = await names(backend, create_time=second.create_time)
    assert (shown, found.total_count) == (["3", "2"], 2)
    shown, found = await names(backend, name="hello world 2")
    assert (shown, found.total_count) == (["2"], 1)
    shown, found = await names(backend, tags=["tag_3"])
    assert (shown, found.total_count) == (["3"], 1)
    shown, found = await names(
        backend, sort_by=[SortField(name="create_time", direction=SortDirection.asc)]
    )
    assert (shown, found.total_count) == (["1", "2", "3"], 3)
    shown, first = await names(backend, max_items=2)
    assert (shown, first.total_count) == (["3", "2"], 3)
    shown, found = await names(backend, max_items=2, next_token=first.next_token)
    assert (shown, found.total_count, found.next_token) == (["1"], 3, None)


async def test_get_job_definition(backend, three):
    definition = await backend.get_job_definition(three[0])
    shown = definition.dict(exclude_none=True)
    times = {shown.pop("create_time"), shown.pop("update_time")}
    assert all(times)
    assert shown == {
        "job_definition_id": three[0],
        "name": "hello world 1",
        "input_filename": "helloworld_1.ipynb",
        "runtime_environment_name": "default",
        "runtime_environment_parameters": SMALL,
        "output_formats": ["ipynb"],
        "output_filename_template": "{{input_filename}}-{{create_time}}",
        "schedule": "0 0 1 1 *",
        "timezone": "America/Los_Angeles",
        "active": True,
        "tags": [],
        "package_input_folder": False,
        "packaged_files": [],
    }


async def test_pause_jobs(backend, three):
    await backend.update_job_definition(three[1], UpdateJobDefinition(active=False))
    assert not (await backend.get_job_definition(three[1])).active


async def test_resume_jobs(backend, three):
    await backend.update_job_definition(three[2], UpdateJobDefinition(active=True))
    assert (await backend.get_job_definition(three[2])).active


async def test_update_job_definition(backend, three):
    update = UpdateJobDefinition(schedule="*/5 * * * *", timezone="America/New_York")
    await backend.update_job_definition(f"kueue:{three[2]}", update)
    definition = await backend.get_job_definition(three[2])
    assert (definition.schedule, definition.timezone) == ("*/5 * * * *", "America/New_York")
    assert not definition.active


async def test_delete_job_definition(backend, three):
    await backend.delete_job_definition(three[0])
    await backend.delete_job_definition(three[0])
    with pytest.raises(SchedulerError):
        await backend.get_job_definition(three[0])
