"""Cluster or bucket away for a while: clear answers at once, and everything goes on afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess

import pytest

from jupyter_kueue import patience
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.request_changes import parse_run_changes
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.domain.schedule_request import parse_schedule_request
from tests.support import proxy as proxies

from .conftest import Session

pytestmark = pytest.mark.integration

SLEEP = "import time\ntime.sleep(600)"
AT_ONCE_SECONDS = 8  # far below the 30 s time-out of a request that waits


@pytest.fixture
def small_folder(tmp_path):
    """A file system of its own with room for one run."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
async def session(open_session, ways):
    async with open_session(**ways.settings) as opened:
        yield opened


async def test_api_server_that_hangs(session, write_notebook, ways, eventually):
    path = write_notebook("works.ipynb", "import time\ntime.sleep(4)\nprint(1)")
    running = await session.submit(path)
    await session.until_state(running["run_id"], "running")

    with ways.cluster.frozen():
        await eventually(lambda: session.application.cluster.error is not None)
        async with asyncio.timeout(AT_ONCE_SECONDS):
            with pytest.raises(errors.UnavailableError):
                await session.submit(path)
            with pytest.raises(errors.UnavailableError):
                await session.runs.stop(running["run_id"])
            listed = await session.runs.list(RunQuery())
        assert listed["total"] == 1

    assert (await session.until_finished(running["run_id"]))["state"] == "succeeded"
    await eventually(lambda: session.application.cluster.error is None)
    again = await session.submit(path)
    assert (await session.until_finished(again["run_id"]))["state"] == "succeeded"


async def test_bucket_that_hangs(session, write_notebook, ways):
    path = write_notebook("works.ipynb", "import time\ntime.sleep(4)\nprint(1)")
    running = await session.submit(path)
    await session.until_state(running["run_id"], "running")

    with ways.bucket.frozen(), pytest.raises(errors.BucketUnavailableError):
        async with asyncio.timeout(30):
            await session.submit(path)

    assert (await session.until_finished(running["run_id"]))["state"] == "succeeded"
    listed = await session.runs.list(RunQuery())
    assert [item["run_id"] for item in listed["items"]] == [running["run_id"]]
    again = await session.submit(path)
    assert (await session.until_finished(again["run_id"]))["state"] == "succeeded"


def roles_not_read(_verb: str, path: str):
    """Answer as an API server does that has not read its roles yet; anybody may ask its version."""
    if path.startswith("/version"):
        return None
    status = {"kind": "Status", "reason": "Forbidden", "code": 403, "message": "runs is forbidden"}
    return 403, json.dumps(status).encode()


def storage_not_read(_verb: str, path: str):
    """Answer as an API server does that has not read its objects yet."""
    if path.startswith("/version"):
        return None
    message = "storage is (re)initializing"
    status = {"kind": "Status", "reason": "TooManyRequests", "code": 429, "message": message}
    return 429, json.dumps(status).encode()


@pytest.mark.parametrize("refusal", [roles_not_read, storage_not_read])
async def test_an_api_server_that_is_just_starting_is_away(
    session, write_notebook, ways, eventually, refusal
):
    path = write_notebook("a.ipynb", "1")
    run = await session.submit(path)
    await session.until_finished(run["run_id"])
    ways.cluster.down()
    await eventually(lambda: session.application.cluster.error is not None)
    ways.cluster.refuse = refusal
    ways.cluster.up()

    async def is_told() -> bool:
        found = []
        for work in (
            session.submit(path),
            session.runs.rerun(run["run_id"], parse_run_changes({})),
        ):
            with pytest.raises(errors.ClusterUnavailableError) as raised:
                await work
            found.append(raised.value.message)
        return all("The cluster is starting up" in message for message in found)

    await eventually(is_told)
    ways.cluster.refuse = lambda _verb, _path: None
    await eventually(lambda: session.application.cluster.error is None)
    assert (await session.submit(path))["state"] not in FINISHED_STATES


def nothing_read(_verb: str, path: str):
    """Answer as an API server does that has read no roles at all: not even those of everybody."""
    message = "runs is forbidden"
    if "/namespaces/" not in path:
        message = f'forbidden: User "user" cannot get path "{path}"'
    status = {"kind": "Status", "reason": "Forbidden", "code": 403, "message": message}
    return 403, json.dumps(status).encode()


def not_ready(_verb: str, path: str):
    """Answer as an API server does that is still reading some of its roles."""
    if path == "/readyz":
        return 500, b"[-]informer-sync failed: reason withheld\nreadyz check failed"
    return roles_not_read(_verb, path)


@pytest.mark.parametrize("refusal", [nothing_read, not_ready])
async def test_a_server_and_an_api_server_that_both_just_start(
    open_application, write_notebook, ways, eventually, refusal
):
    path = write_notebook("a.ipynb", "1")
    ways.cluster.refuse = refusal
    async with open_application(**ways.settings) as application:
        await eventually(lambda: application.connection is not None and application.cluster.error)
        with pytest.raises(errors.ClusterUnavailableError, match="The cluster is starting up"):
            await application.runs()
        assert isinstance(application.cluster.error, errors.ClusterUnavailableError)
        ways.cluster.refuse = lambda _verb, _path: None
        await eventually(lambda: application.cluster.error is None)
        session = Session(application, await application.runs())
        # On a busy machine it may have its quota before it is looked at.
        assert (await session.submit(path))["state"] not in FINISHED_STATES


async def test_a_server_that_starts_without_rights_says_so_at_once(open_application, ways):
    def refused(verb: str, path: str):
        return None if path == "/readyz" else roles_not_read(verb, path)

    ways.cluster.refuse = refused
    async with open_application(**ways.settings) as application:
        with pytest.raises(errors.ForbiddenError, match="runs is forbidden"):
            await application.runs()


async def test_a_refusal_of_what_was_allowed_counts_once_it_lasts(
    session, write_notebook, ways, eventually, monkeypatch
):
    monkeypatch.setattr(patience, "CLUSTER_SETTLING_SECONDS", 2.0)
    path = write_notebook("a.ipynb", "1")
    await session.submit(path)
    ways.cluster.refuse = lambda verb, path: (
        roles_not_read(verb, path) if verb == "POST" and path.endswith("/jobs") else None
    )
    with pytest.raises(errors.ClusterUnavailableError, match="The cluster is starting up"):
        await session.submit(path)

    async def is_refused() -> bool:
        try:
            await session.submit(path)
        except errors.ForbiddenError:
            return True
        except errors.ClusterUnavailableError:
            return False
        return False

    await eventually(is_refused)


async def test_all_is_well_as_soon_as_the_api_server_is_back(
    session, write_notebook, ways, eventually, monkeypatch
):
    # Whoever pauses between two tries does so for ever, unless it is woken.
    path = write_notebook("a.ipynb", "1")
    monkeypatch.setattr(patience, "WATCH_FIRST_PAUSE_SECONDS", 3600.0)
    monkeypatch.setattr(patience, "WATCH_LONGEST_PAUSE_SECONDS", 3600.0)
    ways.cluster.down()
    await eventually(lambda: session.application.cluster.hangs is not None)
    ways.cluster.up()
    await eventually(lambda: session.application.cluster.error is None)
    run = await session.submit(path)
    assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"


async def test_a_run_that_ends_while_the_api_server_is_away_is_seen_to_end(
    open_session, write_notebook, ways, eventually, monkeypatch
):
    monkeypatch.setattr(patience, "RESULTS_WHILE_AWAY_SECONDS", 0.5)
    path = write_notebook("slow.ipynb", "import time\ntime.sleep(3)\nprint(1)")
    async with open_session(**ways.settings) as session:
        run = await session.submit(path)
        await session.until_state(run["run_id"], "running")
        ways.cluster.down()
        await eventually(lambda: session.application.cluster.error is not None)
        done = await session.until_finished(run["run_id"])
        assert session.application.cluster.error is not None
        assert done["state"] == "succeeded"
        assert done["files"][0]["role"] == "notebook"
        ways.cluster.up()
        await eventually(lambda: session.application.cluster.error is None)
        assert (await session.runs.get(run["run_id"]))["state"] == "succeeded"


@pytest.mark.parametrize("verb", ["stop", "delete"])
async def test_a_stopped_run_ends_without_the_garbage_collector(
    session, write_notebook, ways, eventually, local_cluster, namespace, verb
):
    path = write_notebook(
        "slow.ipynb", "print('before', flush=True)", "import time\ntime.sleep(600)"
    )
    run_id = (await session.submit(path))["run_id"]
    await session.until(run_id, lambda run: (run["progress"] or {}).get("cells_done") == 1)
    ways.cluster.change = proxies.without_garbage_collection

    await getattr(session.runs, verb)(run_id)

    await eventually(lambda: not local_cluster.get("jobs,pods", "-n", namespace.name)["items"])
    if verb == "stop":
        done = await session.until_state(run_id, "stopped")
        assert done["files"][0]["role"] == "notebook"


async def test_a_run_can_be_deleted_from_a_full_bucket(
    open_session, write_notebook, ways, eventually, local_cluster, namespace
):
    quick, slow = write_notebook("a.ipynb", "1"), write_notebook("slow.ipynb", SLEEP)
    often = {"resync_seconds": 1}
    async with (
        open_session(**ways.settings, **often) as session,
        open_session(**often) as other,
    ):
        ended = (await session.submit(quick))["run_id"]
        running = (await session.submit(slow))["run_id"]
        await session.until_finished(ended)
        await session.until_state(running, "running")
        schedules = await session.application.schedules()
        body = {"input_path": quick, "local_queue": "team-a", "schedule": "0 0 1 1 *"}
        schedule = await schedules.create(parse_schedule_request(body))

        async def both_are_seen():
            return (await other.runs.list(RunQuery()))["total"] == 2

        await eventually(both_are_seen)
        ways.bucket.refuse = proxies.full
        with pytest.raises(errors.BucketUnavailableError, match="Delete runs"):
            await session.submit(quick)
        for run_id in (ended, running):
            await session.runs.delete(run_id)
        await schedules.delete(schedule["schedule_id"])
        assert (await session.runs.list(RunQuery()))["total"] == 0

        async def nothing_is_left() -> bool:
            kept = [
                item.key
                for folder in ("runs", "schedules")
                for item in await other.application.bucket.list(f"tess/{folder}/")
            ]
            objects = local_cluster.get("jobs,pods,cronjobs", "-n", namespace.name)["items"]
            return not kept and not objects

        await eventually(nothing_is_left)
        # Room again: what the bucket could not be told is made up for.
        ways.bucket.refuse = lambda _verb, _path: None

        async def others_learn_of_it() -> bool:
            deleted = {
                item.key.rpartition("/")[2]
                for item in await other.application.bucket.list("tess/deleted/")
            }
            shown = (await other.runs.list(RunQuery()))["total"]
            return {ended, running} <= deleted and not shown

        await eventually(others_learn_of_it)
    async with open_session() as after:
        assert (await after.runs.list(RunQuery()))["total"] == 0


async def test_a_folder_without_room_can_be_cleared(open_session, write_notebook, small_folder):
    path = write_notebook("a.ipynb", "1")
    waits = {"cpu": "1", "memory": "1Gi", "gpus": 100}
    async with open_session(bucket=f"file://{small_folder}") as session:
        run_id = (await session.submit(path, resources=waits))["run_id"]
        with contextlib.suppress(OSError), (small_folder / "rest").open("wb", 0) as rest:
            while rest.write(bytes(4096)):
                pass
        with pytest.raises(errors.BucketUnavailableError, match="is full"):
            await session.submit(path, resources=waits)
        await session.runs.delete(run_id)
        assert (await session.runs.list(RunQuery()))["total"] == 0
