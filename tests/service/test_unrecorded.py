"""What a Job without a record says of itself, whoever made it."""

from __future__ import annotations

from typing import Any

from jupyter_kueue.domain import job_manifest
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.service.runs import jobs_without_record

RUN_ID = "6a8e1a3e-9d83-4b7c-a7d3-0d5f1a9b2c3d"
CREATED = "2026-01-02T03:04:05.000Z"
RECORD = RunRecord(
    run_id=RUN_ID,
    name="costs $5",
    owner=Owner("Ada", "ada"),
    namespace="research",
    created_at=CREATED,
    request=RunRequest("costs $5.ipynb"),
    local_queue="team-a",
    resources=Resources("500m", "2Gi", 3),
    image="registry.example/notebook:1",
    notebook="costs $5.ipynb",
    input=(),
    priority_class="high",
    schedule_id="1b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10",
)


def as_in_the_cluster(job: dict[str, Any]) -> dict[str, Any]:
    metadata = {**job["metadata"], "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {**job, "metadata": metadata}


def test_a_job_of_ours_is_told_as_its_record_would_tell_it():
    job = job_manifest.build_job(RECORD, job_manifest.PodPolicy("registry.example/runner:1"))
    facts = jobs_without_record.facts_of(as_in_the_cluster(job), RUN_ID)
    assert facts.record == RECORD
    assert facts.accepted == {"job_name": f"nb-{RUN_ID}", "uid": "u"}
    assert facts.is_recorded is False


def test_a_job_that_has_little_in_common_with_ours_can_be_shown_too():
    job = {
        "metadata": {"name": "by-hand", "namespace": "research", "labels": {}},
        "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}},
    }
    record = jobs_without_record.facts_of(as_in_the_cluster(job), RUN_ID).record
    assert (record.name, record.local_queue, record.image) == ("by-hand", "", "")
    assert record.resources == Resources("0", "0", 0)
    assert RunRecord.from_json(record.as_json()) == record
