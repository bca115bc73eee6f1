"""The CronJob of a schedule, compared as a whole; the Job inside is the one of a run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from jupyter_kueue.domain import cron_job_manifest, job_manifest, names, schedule_request
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunSpec
from jupyter_kueue.domain.run_request import Resources
from jupyter_kueue.domain.schedule_record import ScheduleRecord, ScheduleRevision
from jupyter_kueue.domain.schedule_request import ScheduleRequest

SCHEDULE_ID = "6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10"
OWNER = Owner.of("Ada@example.com")
POLICY = job_manifest.PodPolicy(runner_image="example.org/runner:1")


def spec_of(request: ScheduleRequest) -> RunSpec:
    return RunSpec(
        name="nightly 😀",
        owner=OWNER,
        namespace="team-a",
        request=request.run_request(),
        local_queue="research",
        resources=Resources("2", "4Gi", 1),
        image="example.org/notebook:1",
        notebook="a.ipynb",
        input=(),
        schedule_id=SCHEDULE_ID,
    )


def build(*, suspend: bool = False, **fields: Any) -> dict[str, Any]:
    request = schedule_request.parse_schedule_request(
        {"input_path": "a.ipynb", "schedule": "0 9 * * *", **fields}
    )
    schedule = ScheduleRecord(
        schedule_id=SCHEDULE_ID,
        name="nightly 😀",
        owner=OWNER,
        namespace="team-a",
        created_at="2026-01-02T03:04:05.678Z",
        updated_at="2026-01-02T03:04:05.678Z",
        request=request,
        revision="0123456789abcdef",
        input_id="in",
        local_queue="research",
    )
    built = cron_job_manifest.build_cron_job(schedule, spec_of(request), POLICY, suspend=suspend)
    assert built["metadata"]["annotations"].pop("jupyter-kueue/definition") == schedule.digest
    return built


def test_the_whole_cron_job():
    request = schedule_request.parse_schedule_request(
        {"input_path": "a.ipynb", "schedule": "0 9 * * *"}
    )
    job = job_manifest.build_job_template(spec_of(request), "0123456789abcdef", POLICY)
    labels = {
        "app.kubernetes.io/managed-by": "jupyter-kueue",
        "app.kubernetes.io/part-of": "jupyter-kueue",
        "jupyter-kueue/owner": OWNER.slug,
        "jupyter-kueue/schedule-id": SCHEDULE_ID,
    }
    of_job = {
        **labels,
        "app.kubernetes.io/name": "notebook-run",
        "jupyter-kueue/component": "run",
        "jupyter-kueue/revision": "0123456789abcdef",
        "kueue.x-k8s.io/queue-name": "research",
    }
    annotations = {
        "jupyter-kueue/display-name": "nightly 😀",
        "jupyter-kueue/owner-name": "Ada@example.com",
    }
    assert build() == {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": f"nb-{SCHEDULE_ID}",
            "namespace": "team-a",
            "labels": {
                **labels,
                "app.kubernetes.io/name": "notebook-schedule",
                "jupyter-kueue/component": "schedule",
            },
            "annotations": annotations,
        },
        "spec": {
            "schedule": "0 9 * * *",
            "timeZone": "Etc/UTC",
            "suspend": False,
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 100,
            "failedJobsHistoryLimit": 100,
            "jobTemplate": {
                "metadata": {"labels": of_job, "annotations": annotations},
                "spec": job["spec"],
            },
        },
    }
    assert job["spec"]["suspend"] is True
    assert job["spec"]["podFailurePolicy"]


def test_what_a_user_may_choose():
    spec = build(
        timezone="Europe/Berlin",
        concurrency_policy="Allow",
        starting_deadline_seconds=60,
        suspend=True,
    )["spec"]
    assert spec["timeZone"] == "Europe/Berlin"
    assert spec["concurrencyPolicy"] == "Allow"
    assert spec["startingDeadlineSeconds"] == 60
    assert spec["suspend"] is True


def test_a_run_learns_who_it_is_from_its_job():
    pod = build()["spec"]["jobTemplate"]["spec"]["template"]
    assert names.LABEL_RUN_ID not in pod["metadata"]["labels"]
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        env = {item["name"]: item for item in container["env"]}
        assert env["JUPYTER_KUEUE_RUN_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == (
            "metadata.labels['batch.kubernetes.io/controller-uid']"
        )
        assert env["JUPYTER_KUEUE_JOB_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == (
            "metadata.labels['batch.kubernetes.io/job-name']"
        )
        assert env["JUPYTER_KUEUE_SCHEDULE_ID"]["value"] == SCHEDULE_ID
        assert env["JUPYTER_KUEUE_SCHEDULE_REVISION"]["value"] == "0123456789abcdef"


def test_names_leave_room_for_what_the_controller_adds():
    name = names.cron_job_name(SCHEDULE_ID)
    assert len(name) <= 52
    assert names.scheduled_minute(f"{name}-29000000") == 29_000_000
    assert names.scheduled_minute(name) is None
    assert names.scheduled_minute(f"{name}-manual") is None


@pytest.mark.parametrize("field", ["input_id", "concurrency_policy", "end_date", "max_runs"])
def test_a_revision_is_known_by_its_content(field: str):
    request = ScheduleRequest("a.ipynb", schedule="@daily")
    revision = ScheduleRevision(spec_of(request), "in", "Forbid")
    assert ScheduleRevision.from_json(revision.as_json()) == revision
    assert ScheduleRevision.from_json(revision.as_json()).revision == revision.revision
    other = dataclasses.replace(revision, **{field: "other"})
    assert other.revision != revision.revision
