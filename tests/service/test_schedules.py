"""Schedules: CronJobs that fire with no server up, and everything a user does with them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.request_changes import (
    parse_run_changes,
    parse_run_now,
    parse_schedule_changes,
)
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.schedule_query import ScheduleQuery
from jupyter_kueue.domain.schedule_request import parse_schedule_request
from jupyter_kueue.service import health
from tests.service.test_health import namespace_role
from tests.support import proxy

pytestmark = pytest.mark.integration

SMALL = {"cpu": "100m", "memory": "512Mi"}
# Not due while the tests run: they make runs as the CronJob controller would.
FAR = "0 0 29 2 *"


async def create(session, input_path, **fields):
    schedules = await session.application.schedules()
    body = {"input_path": input_path, "local_queue": "team-a", "resources": SMALL, **fields}
    return await schedules.create(parse_schedule_request(body))


async def list_runs(session, schedule_id):
    query = RunQuery(schedule_ids=(schedule_id,), sort="created_at", limit=500)
    return (await session.runs.list(query))["items"]


async def read(session, run_id, path):
    content = await session.runs.open_file(run_id, path)
    return b"".join([chunk async for chunk in content.chunks])


@pytest.fixture
def cron_job(local_cluster, namespace):
    """Reads a schedule's CronJob."""
    return lambda schedule_id: local_cluster.get(
        "cronjob", f"nb-{schedule_id}", "-n", namespace.name
    )


@pytest.fixture
def suspend(local_cluster, namespace):
    """Pauses a schedule as an admin would."""
    patch = json.dumps({"spec": {"suspend": True}})
    return lambda schedule_id: local_cluster.kubectl(
        "patch", "cronjob", f"nb-{schedule_id}", "-n", namespace.name, "-p", patch
    )


@pytest.fixture
def fire(local_cluster, namespace):
    """Makes the Job that the CronJob controller would make at a minute; returns the run id."""

    def make(schedule_id, minute=None):
        minute = int(time.time()) // 60 if minute is None else minute
        name = f"nb-{schedule_id}"
        made = local_cluster.kubectl(
            *("create", "job", f"--from=cronjob/{name}", f"{name}-{minute}"),
            *("-n", namespace.name, "-o", "json"),
        )
        return json.loads(made)["metadata"]["uid"]

    return make


async def test_it_fires_with_no_server_up_and_the_run_is_like_any_other(
    open_session, write_notebook, root, local_cluster, namespace, eventually, overdue
):
    path = write_notebook(
        "nightly/fit.ipynb",
        "print('n is', n, open('data.csv').read())",
        "import os; print(sorted(os.listdir('.')), os.path.isdir('out/plots'))",
    )
    (root / "nightly" / "data.csv").write_text("1,2")
    (root / "nightly" / "large.ckpt").write_text("stays")
    (root / "nightly" / ".jupyterkueueignore").write_text("*.ckpt\n")
    (root / "nightly" / "out" / "plots").mkdir(parents=True)
    async with open_session() as session:
        schedule = await create(
            session,
            path,
            name="nightly ✨",
            tags=["a"],
            schedule="* * * * *",
            include_folder=True,
            parameters={"n": 5},
        )
        assert schedule["active"]
        assert schedule["next_run_at"] is not None
    (root / path).unlink()
    overdue(schedule["schedule_id"])

    def has_run():
        jobs = local_cluster.get("jobs", "-n", namespace.name)["items"]
        return [job for job in jobs if job.get("status", {}).get("succeeded")]

    job, *_ = await eventually(has_run)

    async with open_session() as session:
        schedules = await session.application.schedules()
        await schedules.update(schedule["schedule_id"], parse_schedule_changes({"active": False}))
        runs = await list_runs(session, schedule["schedule_id"])
        done = await session.until_finished(runs[0]["run_id"])
        assert done["run_id"] == job["metadata"]["uid"]
        assert (done["state"], done["name"], done["tags"]) == ("succeeded", "nightly ✨", ["a"])
        assert done["schedule_id"] == schedule["schedule_id"]
        assert done["created_at"].endswith(":00.000Z")
        assert done["files"][0]["path"] == "fit.ipynb"
        assert [file["path"] for file in done["inputs"]] == ["fit.ipynb", "data.csv"]
        log = b"".join([line async for line in await session.runs.logs(done["run_id"])])
        assert b"n is 5 1,2" in log
        assert b"['data.csv', 'fit.ipynb', 'out'] True" in log
        again = await session.runs.rerun(
            done["run_id"], parse_run_changes({"parameters": {"n": 6}})
        )
        assert (await session.until_finished(again["run_id"]))["state"] == "succeeded"
        shown = await schedules.get(schedule["schedule_id"])
        assert shown["last_run"]["run_id"] == runs[-1]["run_id"]


async def test_a_run_appears_from_the_moment_its_job_exists(
    session, write_notebook, fire, eventually
):
    path = write_notebook("big.ipynb", "print(1)")
    schedule = await create(
        session, path, schedule=FAR, resources={"cpu": "1", "memory": "1Gi", "gpus": 100}
    )

    run_id = fire(schedule["schedule_id"])

    async def is_listed():
        runs = await list_runs(session, schedule["schedule_id"])
        return [run for run in runs if run["reason"] == "blocked"]

    [run] = await eventually(is_listed)
    assert run["run_id"] == run_id
    schedules = await session.application.schedules()
    shown = await schedules.get(schedule["schedule_id"])
    assert "is still queued" in shown["message"]
    assert "Forbid" in shown["message"]
    assert "100 GPUs" in shown["message"]
    stopped = await session.runs.stop(run_id)
    assert stopped["state"] in ("stopping", "stopped")
    assert (await session.until_finished(run_id))["state"] == "stopped"

    async def is_free():
        return (await schedules.get(schedule["schedule_id"]))["message"] is None

    await eventually(is_free)
    await session.runs.delete(run_id)
    assert await list_runs(session, schedule["schedule_id"]) == []


async def test_an_edit_counts_from_the_next_run_on_and_a_paused_one_stays_paused(
    session, write_notebook, root, cron_job, fire, suspend, local_cluster, namespace, eventually
):
    path = write_notebook("edited.ipynb", "print('n is', n)", parameters="n = 1")
    schedule = await create(session, path, schedule=FAR, parameters={"n": 2})
    schedule_id = schedule["schedule_id"]
    schedules = await session.application.schedules()
    assert (await schedules.update(schedule_id, parse_schedule_changes({"active": False})))[
        "active"
    ] is False
    before = fire(schedule_id)
    write_notebook("other/edited.ipynb", "print('other', n)", parameters="n = 1")

    changed = await schedules.update(
        schedule_id,
        parse_schedule_changes(
            {
                "name": "renamed",
                "tags": ["b"],
                "schedule": "30 2 * * mon",
                "timezone": "Europe/Berlin",
                "concurrency_policy": "Replace",
                "starting_deadline_seconds": 600,
                "end_date": "2999-01-01T00:00:00+01:00",
                "max_runs": 7,
                "parameters": {"n": 3},
                "input_path": "other/edited.ipynb",
                "local_queue": "team-b",
                "resources": {"cpu": "200m", "memory": "256Mi"},
                "timeout_seconds": 600,
                "max_retries": 2,
            }
        ),
    )

    assert changed["active"] is False
    assert changed["next_run_at"] is None
    assert (changed["name"], changed["tags"], changed["local_queue"]) == (
        "renamed",
        ["b"],
        "team-b",
    )
    spec = cron_job(schedule_id)["spec"]
    assert spec["suspend"] is True
    assert spec["schedule"] == "30 2 * * mon"
    assert spec["timeZone"] == "Europe/Berlin"
    assert spec["concurrencyPolicy"] == "Replace"
    assert spec["startingDeadlineSeconds"] == 600
    job = spec["jobTemplate"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-b"
    assert job["spec"]["backoffLimit"] == 2
    assert job["spec"]["activeDeadlineSeconds"] == 4200
    after = fire(schedule_id, minute=int(time.time()) // 60 + 1)
    logs = {}
    for run_id in (before, after):

        async def is_known(run_id=run_id):
            return any(run["run_id"] == run_id for run in await list_runs(session, schedule_id))

        await eventually(is_known)
        assert (await session.until_finished(run_id))["state"] == "succeeded"
        logs[run_id] = b"".join([line async for line in await session.runs.logs(run_id)])
    assert b"n is 2" in logs[before]
    assert b"other 3" in logs[after]
    assert (await session.runs.get(after))["name"] == "renamed"

    resumed = await schedules.update(
        schedule_id,
        parse_schedule_changes(
            {"active": True, "timeout_seconds": None, "starting_deadline_seconds": None}
        ),
    )
    assert resumed["active"] is True
    assert resumed["next_run_at"] is not None
    spec = cron_job(schedule_id)["spec"]
    assert spec["suspend"] is False
    assert "startingDeadlineSeconds" not in spec
    assert "activeDeadlineSeconds" not in spec["jobTemplate"]["spec"]
    # kubectl's word counts as well.
    suspend(schedule_id)

    async def is_paused():
        return not (await schedules.get(schedule_id))["active"]

    await eventually(is_paused)
    assert (await schedules.update(schedule_id, parse_schedule_changes({"name": "third"})))[
        "active"
    ] is False
    on_demand = await schedules.update(schedule_id, parse_schedule_changes({"schedule": None}))
    assert (on_demand["schedule"], on_demand["max_runs"]) == (None, None)
    await eventually(lambda: not local_cluster.get("cronjobs", "-n", namespace.name)["items"])


async def test_run_now_with_other_parameters_with_and_without_a_cron_expression(
    session, write_notebook, root, local_cluster, namespace
):
    path = write_notebook("asked.ipynb", "print('n is', n)", parameters="n = 1")
    on_demand = await create(session, path, name="asked", parameters={"n": 2})
    assert local_cluster.get("cronjobs", "-n", namespace.name)["items"] == []
    assert on_demand["next_run_at"] is None
    paused = await create(session, path, schedule=FAR, active=False, parameters={"n": 2})
    (root / path).unlink()
    schedules = await session.application.schedules()

    for schedule in (on_demand, paused):
        for parameters, printed in ((None, b"n is 2"), ({"n": 3}, b"n is 3")):
            job = await schedules.run_now(
                schedule["schedule_id"], parse_run_now({"parameters": parameters})
            )
            assert job["schedule_id"] == schedule["schedule_id"]
            done = await session.until_finished(job["run_id"])
            assert done["state"] == "succeeded"
            log = b"".join([line async for line in await session.runs.logs(job["run_id"])])
            assert printed in log
    with pytest.raises(errors.InvalidRequestError, match=r"parameters\.a b"):
        await schedules.run_now(on_demand["schedule_id"], parse_run_now({"parameters": {"a b": 1}}))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"schedule": "0 0 * * 7"}, {"schedule"}),
        ({"schedule": "0 0 L * *"}, {"schedule"}),
        ({"schedule": "0 0 0 * * *"}, {"schedule"}),
        ({"schedule": "61 * * * *", "timezone": "Mars/Olympus"}, {"schedule", "timezone"}),
        ({"schedule": "* * * * *", "local_queue": "nosuch"}, {"local_queue"}),
        ({"schedule": "bad", "local_queue": "nosuch"}, {"schedule", "local_queue"}),
        ({"schedule": "0 0 30 2 *"}, {"schedule"}),
    ],
)
async def test_what_the_cluster_would_not_run_is_refused_and_leaves_nothing(
    session, write_notebook, local_cluster, namespace, fields, wrong
):
    path = write_notebook("a.ipynb", "print(1)")

    with pytest.raises(errors.InvalidRequestError) as refused:
        await create(session, path, **fields)

    assert set(refused.value.fields) == wrong
    for field, example in (("schedule", "for example 0 9"), ("timezone", "Europe/Berlin")):
        assert field not in wrong or example in refused.value.fields[field]
    assert "Invalid value" not in str(refused.value)
    assert await session.application.bucket.list("tess/") == []
    assert local_cluster.get("cronjobs", "-n", namespace.name)["items"] == []


async def test_a_bad_edit_changes_nothing(session, write_notebook, cron_job):
    path = write_notebook("a.ipynb", "print(1)")
    schedule = await create(session, path, schedule=FAR)
    schedules = await session.application.schedules()
    before = cron_job(schedule["schedule_id"])

    for changes, field in (
        ({"schedule": "bad"}, "schedule"),
        ({"colour": "red"}, "colour"),
        ({"idempotency_key": "x"}, "idempotency_key"),
        ({"input_path": "nosuch.ipynb"}, "input_path"),
        ({"max_runs": 0}, "max_runs"),
        ({"end_date": "tomorrow"}, "end_date"),
        ({}, "body"),
    ):
        with pytest.raises(errors.InvalidRequestError) as refused:
            await schedules.update(schedule["schedule_id"], parse_schedule_changes(changes))
        assert set(refused.value.fields) == {field}

    assert await schedules.get(schedule["schedule_id"]) == schedule
    assert cron_job(schedule["schedule_id"])["metadata"] == before["metadata"]


async def test_a_deleted_schedule_leaves_its_runs_alone(
    open_session, write_notebook, fire, local_cluster, namespace, eventually
):
    path = write_notebook("stays.ipynb", "import time\ntime.sleep(3)\nprint('stayed')")
    async with open_session() as session:
        schedule = await create(session, path, schedule=FAR)
    finished = fire(schedule["schedule_id"], minute=29_000_000)

    def has_ended():
        job = local_cluster.get("jobs", "-n", namespace.name)["items"][0]
        return job["status"].get("succeeded")

    await eventually(has_ended)
    goes_on = fire(schedule["schedule_id"], minute=29_000_001)

    async with open_session(resync_seconds=1) as session:
        schedules = await session.application.schedules()
        await schedules.delete(schedule["schedule_id"])
        assert (await schedules.list(ScheduleQuery()))["total"] == 0
        for run_id in (finished, goes_on):

            async def is_known(run_id=run_id):
                runs = await list_runs(session, schedule["schedule_id"])
                return any(run["run_id"] == run_id for run in runs)

            await eventually(is_known)
            assert (await session.until_finished(run_id))["state"] == "succeeded"
        bucket = session.application.bucket

        async def is_clean():
            return [
                item.key.rpartition("/")[2]
                for item in await bucket.list(f"tess/schedules/{schedule['schedule_id']}/")
            ] == ["deleted"]

        await eventually(is_clean)
        assert local_cluster.get("cronjobs", "-n", namespace.name)["items"] == []
        again = await session.runs.rerun(finished, parse_run_changes({}))
        assert (await session.until_finished(again["run_id"]))["state"] == "succeeded"


async def test_a_schedule_that_is_deleted_while_it_is_read_does_not_come_back(
    open_session, write_notebook, namespace, local_cluster, tmp_path, eventually
):
    store, bucket_dir = proxy.to_bucket(namespace.bucket_dir, tmp_path)
    async with open_session(bucket=str(bucket_dir)) as session:
        schedules = await session.application.schedules()
        schedule = await create(session, write_notebook("a.ipynb", "1"), schedule=FAR)
        schedule_id = schedule["schedule_id"]
        heard = []
        with store.holding_the_first_read(f"/{schedule_id}/definition.json") as is_held:
            # A change in the cluster has it read again, and by then that has seen no tombstone.
            cron_job = ("cronjob", f"nb-{schedule_id}", "-n", namespace.name)
            local_cluster.kubectl("annotate", *cron_job, "touched=yes")
            await eventually(is_held.is_set)
            await schedules.delete(schedule_id)
            session.application.changes.add_listener(heard.append)

        async def is_cleaned_up():
            keys = await session.application.bucket.list(f"tess/schedules/{schedule_id}/")
            return [item.key.rpartition("/")[2] for item in keys] == ["deleted"]

        # By the look after the one that was held.
        await eventually(is_cleaned_up)
        assert (await schedules.list(ScheduleQuery()))["total"] == 0
        assert not [change for change in heard if change["type"] == "schedule"]
    store.down()


async def test_kubectls_pause_is_newer_than_the_answer_to_an_edit(
    ways, open_session, write_notebook, cron_job, suspend, eventually
):
    async with open_session(**ways.settings) as session:
        schedules = await session.application.schedules()
        schedule = await create(session, write_notebook("a.ipynb", "1"), schedule=FAR)
        schedule_id = schedule["schedule_id"]
        with ways.cluster.holding_the_first_answer("PATCH", f"nb-{schedule_id}") as is_held:
            edit = asyncio.ensure_future(
                schedules.update(schedule_id, parse_schedule_changes({"name": "renamed"}))
            )
            await eventually(is_held.is_set)
            suspend(schedule_id)

            async def is_shown():
                return not (await schedules.get(schedule_id))["active"]

            await eventually(is_shown)
        assert (await edit)["active"] is False
        assert (await schedules.get(schedule_id))["active"] is False
        assert cron_job(schedule_id)["spec"]["suspend"] is True


async def test_kubectls_pause_is_kept_where_its_other_changes_are_undone(
    ways, open_session, write_notebook, cron_job, suspend, local_cluster, namespace, eventually
):
    async with open_session(**ways.settings) as session:
        schedules = await session.application.schedules()
        schedule = await create(session, write_notebook("a.ipynb", "1"), schedule=FAR)
        schedule_id = schedule["schedule_id"]
        with ways.cluster.holding_the_first("PATCH", f"nb-{schedule_id}") as is_held:
            other = json.dumps({"spec": {"schedule": "1 1 1 1 *"}})
            local_cluster.kubectl(
                "patch", "cronjob", f"nb-{schedule_id}", "-n", namespace.name, "-p", other
            )
            await eventually(is_held.is_set)
            suspend(schedule_id)
        await eventually(lambda: cron_job(schedule_id)["spec"]["schedule"] == FAR)
        assert cron_job(schedule_id)["spec"]["suspend"] is True
        assert (await schedules.get(schedule_id))["active"] is False


@pytest.mark.parametrize("server_is_up", [True, False])
async def test_no_run_after_max_runs_or_end_date(
    open_session, write_notebook, fire, cron_job, eventually, server_is_up, local_cluster, namespace
):
    path = write_notebook("bounded.ipynb", "print(1)")
    async with open_session(resync_seconds=1) as session:
        counted = await create(session, path, schedule=FAR, max_runs=2, concurrency_policy="Allow")
        dated = await create(session, path, schedule=FAR, end_date="2025-02-20T00:00:00Z")
        schedules = await session.application.schedules()
        assert "It ended at 2025-02-20" in (await schedules.get(dated["schedule_id"]))["message"]
        assert cron_job(dated["schedule_id"])["spec"]["suspend"] is True
        if server_is_up:
            await _fire_past_the_end(fire, counted, dated)
            await _are_all_done(local_cluster, namespace, eventually)
    if not server_is_up:
        await _fire_past_the_end(fire, counted, dated)
        await _are_all_done(local_cluster, namespace, eventually)

    async with open_session(resync_seconds=1) as session:
        schedules = await session.application.schedules()

        async def has_ended():
            shown = await schedules.get(counted["schedule_id"])
            return shown if not shown["active"] else None

        shown = await eventually(has_ended)
        assert shown["runs_counted"] == 2
        assert shown["message"].startswith("It has ended after 2 runs")
        runs = await list_runs(session, counted["schedule_id"])
        assert [run["state"] for run in runs] == ["succeeded"] * 2
        runs = await list_runs(session, dated["schedule_id"])
        assert [run["created_at"] for run in runs] == ["2025-02-19T13:20:00.000Z"]
        raised = await schedules.update(
            counted["schedule_id"], parse_schedule_changes({"max_runs": 3})
        )
        assert (raised["active"], raised["message"]) == (True, None)
        assert cron_job(counted["schedule_id"])["spec"]["suspend"] is False


async def _fire_past_the_end(fire, counted, dated):
    for minute in range(29_000_000, 29_000_004):
        fire(counted["schedule_id"], minute)
    fire(dated["schedule_id"], 28_999_520)  # 2025-02-19T13:20Z
    fire(dated["schedule_id"], 29_001_000)  # 2025-02-20T14:00Z


async def _are_all_done(local_cluster, namespace, eventually):
    def all_have_ended():
        jobs = local_cluster.get("jobs", "-n", namespace.name)["items"]
        return all(job["status"].get("succeeded") for job in jobs)

    await eventually(all_have_ended)


async def test_same_idempotency_key_gives_the_same_schedule(session, write_notebook):
    path = write_notebook("once.ipynb", "print(1)")
    fields = {"schedule": FAR, "idempotency_key": "tuesday"}

    first = await create(session, path, **fields)

    assert await create(session, path, **fields) == first
    with pytest.raises(errors.ConflictError, match="a different schedule"):
        await create(session, path, name="other", **fields)
    schedules = await session.application.schedules()
    assert (await schedules.list(ScheduleQuery()))["total"] == 1


async def test_two_servers_see_each_others_schedules(open_session, write_notebook, eventually):
    path = write_notebook("both.ipynb", "print(1)")
    async with open_session(resync_seconds=1) as one, open_session(resync_seconds=1) as two:
        fired = await create(one, path, name="fired", schedule=FAR)
        asked = await create(one, path, name="asked")
        mine, theirs = (await one.application.schedules(), await two.application.schedules())

        async def names():
            found = await theirs.list(ScheduleQuery(sort="name"))
            return [item["name"] for item in found["items"]] == ["asked", "fired"]

        await eventually(names)
        changes = parse_schedule_changes({"active": False, "name": "renamed"})
        await theirs.update(fired["schedule_id"], changes)
        await theirs.delete(asked["schedule_id"])

        async def is_seen():
            found = (await mine.list(ScheduleQuery(active=False)))["items"]
            total = (await mine.list(ScheduleQuery()))["total"]
            return total == 1 and [item["name"] for item in found] == ["renamed"]

        await eventually(is_seen)


async def test_list_filters_sorts_and_pages(session, write_notebook):
    path = write_notebook("many.ipynb", "print(1)")
    for number in range(5):
        await create(session, path, name=f"s{number}", tags=[f"t{number % 2}"])
    schedules = await session.application.schedules()

    first = await schedules.list(ScheduleQuery(sort="name", limit=2))
    second = await schedules.list(
        ScheduleQuery(sort="name", limit=2, cursor=first["next_cursor"], text="s")
    )

    assert [item["name"] for item in first["items"]] == ["s0", "s1"]
    assert [item["name"] for item in second["items"]] == ["s2", "s3"]
    assert first["total"] == 5
    found = await schedules.list(ScheduleQuery(text="T1", sort="-name"))
    assert [item["name"] for item in found["items"]] == ["s3", "s1"]
    with pytest.raises(errors.InvalidRequestError, match="sort"):
        await schedules.list(ScheduleQuery(sort="colour"))
    with pytest.raises(errors.NotFoundError, match="no schedule"):
        await schedules.get("nosuch")


async def test_a_run_that_was_missed_is_made_up_for_unless_it_is_too_late(
    open_session, write_notebook, local_cluster, namespace, overdue, eventually
):
    path = write_notebook("missed.ipynb", "print(1)")
    due = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    fields = {"schedule": f"{due.minute} {due.hour} * * *", "timezone": "Etc/UTC"}
    async with open_session() as session:
        too_late = await create(session, path, starting_deadline_seconds=60, **fields)
        late = await create(session, path, starting_deadline_seconds=3600, **fields)
        any_time = await create(session, path, **fields)
    for schedule in (too_late, late, any_time):
        overdue(schedule["schedule_id"])
    wanted = {late["schedule_id"], any_time["schedule_id"]}

    def made():
        jobs = local_cluster.get("jobs", "-n", namespace.name)["items"]
        return {job["metadata"]["labels"]["jupyter-kueue/schedule-id"] for job in jobs}

    await eventually(lambda: made() >= wanted)
    async with open_session() as session:
        for schedule_id in wanted:
            [run] = await eventually(lambda key=schedule_id: list_runs(session, key))
            assert run["created_at"] == due.strftime("%Y-%m-%dT%H:%M:00.000Z")
        assert await list_runs(session, too_late["schedule_id"]) == []
        schedules = await session.application.schedules()
        shown = await schedules.get(too_late["schedule_id"])
        assert shown["next_run_at"] > due.isoformat()
    assert made() == wanted


async def test_without_the_right_to_cron_jobs_the_rest_works(
    open_session, write_notebook, write_user
):
    path = write_notebook("a.ipynb", "print(1)")
    rules = namespace_role()
    for rule in rules:
        rule["resources"] = [kind for kind in rule["resources"] if kind != "cronjobs"]
    assert rules != namespace_role()
    async with open_session(kubeconfig=str(write_user(rules))) as session:
        with pytest.raises(errors.ForbiddenError, match=r"cronjobs.*Ask an admin to bind"):
            await session.application.schedules()
        report = await health.report(session.application)
        [problem] = [item for item in report["problems"] if "cronjobs" in item["what"]]
        assert "You may not list, watch, create, patch, delete cronjobs.batch" in problem["what"]
        assert "schedules cannot be created, changed or seen" in problem["what"]
        assert "jupyter-kueue-user" in problem["fix"]
        assert report["ok"] is True
        job = await session.submit(path)
        assert (await session.until_finished(job["run_id"]))["state"] == "succeeded"


async def test_what_kubectl_changes_of_the_time_is_taken_back(
    session, write_notebook, cron_job, local_cluster, namespace, eventually
):
    path = write_notebook("a.ipynb", "print(1)")
    schedule = await create(session, path, schedule=FAR, starting_deadline_seconds=60)
    name = f"nb-{schedule['schedule_id']}"
    before = cron_job(schedule["schedule_id"])["spec"]
    for spec in (
        {"suspend": True},
        {"schedule": "* * * * *", "timeZone": "Asia/Tokyo"},
        {"concurrencyPolicy": "Allow", "startingDeadlineSeconds": None},
    ):
        patch = ("--type=merge", "-p", json.dumps({"spec": spec}))
        local_cluster.kubectl("patch", "cronjob", name, "-n", namespace.name, *patch)
    # But for the pause, which is shown.
    await eventually(
        lambda: cron_job(schedule["schedule_id"])["spec"] == {**before, "suspend": True}
    )
    schedules = await session.application.schedules()
    assert (await schedules.get(schedule["schedule_id"]))["active"] is False
