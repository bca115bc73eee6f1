"""A Job that carries this owner's labels and has no record: what can be said of it all the same.

Somebody made it with kubectl, or its schedule is unknown here. It holds quota like any other, so it
is shown, from its own words alone; ``service.reconciler`` asks. Pure.
"""

from __future__ import annotations

from typing import Any

from jupyter_kueue import contract, models, names, quantities
from jupyter_kueue.models import BucketFacts, JobRecord, JobRequest, Owner, Resources

Json = dict[str, Any]

_NO_NOTEBOOK = "unknown.ipynb"


def facts_of(job: Json, job_id: str) -> BucketFacts:
    """Return the facts of a Job as the API server has it, whole."""
    metadata = job["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    slug = labels.get(names.LABEL_OWNER, "")
    container = _notebook_container(job["spec"]["template"]["spec"]["containers"])
    variables = {item["name"]: item.get("value") for item in container.get("env") or ()}
    # Kubernetes' way to write a dollar sign.
    notebook = (variables.get(contract.ENV_NOTEBOOK) or _NO_NOTEBOOK).replace("$$", "$")
    record = JobRecord(
        job_id=job_id,
        name=annotations.get(names.ANNOTATION_NAME) or metadata["name"],
        owner=Owner(annotations.get(names.ANNOTATION_OWNER) or slug, slug),
        namespace=metadata["namespace"],
        created_at=models.rfc3339(models.parse_time(metadata["creationTimestamp"])),
        request=JobRequest(notebook).as_json(),
        local_queue=labels.get(names.KUEUE_QUEUE_NAME, ""),
        resources=_resources(container.get("resources") or {}),
        image=container.get("image", ""),
        notebook=notebook,
        input=(),
        priority_class=labels.get(names.KUEUE_PRIORITY_CLASS),
        schedule_id=labels.get(names.LABEL_SCHEDULE_ID),
    )
    accepted = {"kube_job": metadata["name"], "uid": metadata["uid"]}
    return BucketFacts(record, accepted=accepted, is_recorded=False)


def _notebook_container(containers: list[Json]) -> Json:
    named = (item for item in containers if item["name"] == contract.NOTEBOOK)
    return next(named, containers[0])


def _resources(asked: Json) -> Resources:
    amounts = {**(asked.get("limits") or {}), **(asked.get("requests") or {})}
    return Resources(
        cpu=amounts.get("cpu", "0"),
        memory=amounts.get("memory", "0"),
        gpus=int(quantities.parse(amounts.get(names.GPU_RESOURCE, "0"))),
    )
