"""A Job that carries this owner's labels and has no record: what can be said of it all the same.

Somebody made it with kubectl, or its schedule is unknown here. It holds quota like any other, so it
is shown, from its own words alone; ``service.runs.reconciler`` asks. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import names, quantities, text_rules, times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import BucketFacts
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.domain.stored_types import is_path

if TYPE_CHECKING:
    from jupyter_kueue.domain.run_documents import Accepted

Json = dict[str, Any]

_NO_NOTEBOOK = "unknown.ipynb"
_MOST = 10**18 - 1


def facts_of(job: Json, run_id: str) -> BucketFacts:
    """Return the facts of a Job as the API server has it, whole.

    Its texts are made fit for a record, since it may become one: annotations hold any text.
    """
    metadata = job["metadata"]
    labels, annotations = _object(metadata.get("labels")), _object(metadata.get("annotations"))
    slug = _line(labels.get(names.LABEL_OWNER))
    container = _notebook_container(job)
    notebook = _notebook(container)
    record = RunRecord(
        run_id=run_id,
        name=_line(annotations.get(names.ANNOTATION_NAME)) or _line(metadata["name"]),
        owner=Owner(_line(annotations.get(names.ANNOTATION_OWNER)) or slug, slug),
        namespace=_line(metadata["namespace"]),
        created_at=times.rfc3339(times.parse_time(metadata["creationTimestamp"])),
        request=RunRequest(notebook),
        local_queue=_line(labels.get(names.KUEUE_QUEUE_NAME)),
        resources=_resources(_object(container.get("resources"))),
        image=_line(container.get("image")),
        notebook=notebook,
        input=(),
        priority_class=_line(labels.get(names.KUEUE_PRIORITY_CLASS)) or None,
        schedule_id=_line(labels.get(names.LABEL_SCHEDULE_ID)) or None,
    )
    accepted: Accepted = {"job_name": metadata["name"], "uid": metadata["uid"]}
    return BucketFacts(record, accepted=accepted, is_recorded=False)


def _notebook_container(job: Json) -> Json:
    containers = _objects(job["spec"]["template"]["spec"].get("containers"))
    named = (item for item in containers if item.get("name") == pod_contract.NOTEBOOK)
    return next(named, containers[0] if containers else {})


def _notebook(container: Json) -> str:
    variables = {item.get("name"): item.get("value") for item in _objects(container.get("env"))}
    said = variables.get(pod_contract.ENV_NOTEBOOK)
    # Kubernetes' way to write a dollar sign.
    path = said.replace("$$", "$") if isinstance(said, str) else _NO_NOTEBOOK
    return path if is_path(path) else _NO_NOTEBOOK


def _resources(container_resources: Json) -> Resources:
    limits = _object(container_resources.get("limits"))
    amounts = {**limits, **_object(container_resources.get("requests"))}
    gpus = _amount(amounts, names.GPU_RESOURCE)
    return Resources(
        cpu=_amount(amounts, "cpu"),
        memory=_amount(amounts, "memory"),
        gpus=max(0, int(quantities.reported(gpus))),
    )


def _amount(amounts: Json, resource: str) -> str:
    """Return what is asked for of a resource; nothing where that is no amount."""
    amount = amounts.get(resource, "0")
    if quantities.is_amount(amount):
        return str(amount)
    try:
        # More than any record may hold, and than any cluster has.
        return str(min(int(quantities.reported(amount)), _MOST))
    except ValueError:
        return "0"


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text_rules.shown_line(text, names.MAX_NAME_LENGTH).strip()


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
