"""What somebody else left in the bucket and in the cluster: all else is shown, and it is named."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain import field_types, names, run_facts
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.service.runs import run_view
from jupyter_kueue.storage.bucket import Bucket
from tests.server.conftest import running_server, submit, until_run
from tests.support.notebooks import write_notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

EXTENSIONS = {"jupyter_kueue": True, "jupyter_scheduler": True}
OWNER = "tess"
AT = "2026-01-02T03:04:05.000Z"


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def record(number: int, **fields: Any) -> Any:
    whole = RunRecord(
        run_id=id_of(number),
        name=f"run {number}",
        owner=Owner(OWNER, OWNER),
        namespace="none",
        created_at=AT,
        request=RunRequest("a.ipynb"),
        local_queue="team-a",
        resources=Resources(),
        image="registry.example/notebook:1",
        notebook="a.ipynb",
        input=(),
    ).as_json()
    return {**whole, **fields}


FINAL = {"state": "failed", "reason": "killed", "message": "m", "finished_at": AT}
# Finished runs in the bucket: what is odd in each, and whether its row can be told from others'.
ODD_RECORDS: tuple[Any, ...] = (
    record(1, request={**RunRequest("a.ipynb").as_json(), "tags": ["\ud800"]}),
    record(2, resources={"cpu": "1e400", "memory": "NaN", "gpus": 10**400}),
    record(3, created_at="9999-12-31T23:59:59-23:59"),
    record(4, run_id=id_of(5)),
    "[" * 100_000,
)
# Fine for REST, which takes any annotations; jupyter-scheduler reads these.
ANNOTATED = record(
    6,
    request={
        **RunRequest("a.ipynb").as_json(),
        "local_queue": "nan",
        "annotations": {
            "jupyter-scheduler/utc-offset": "yesterday",
            "jupyter-scheduler/input-filename": "../../../etc/x",
        },
    },
)


async def fill(bucket: Bucket) -> None:
    for number, document in enumerate(ODD_RECORDS, 1):
        data = document if isinstance(document, str) else json.dumps(document)
        await bucket.put_bytes(f"{OWNER}/runs/{id_of(number)}/record.json", data.encode())
        await bucket.put_json(f"{OWNER}/runs/{id_of(number)}/final.json", FINAL)
    await bucket.put_json(f"{OWNER}/runs/{id_of(6)}/record.json", ANNOTATED)
    await bucket.put_json(f"{OWNER}/runs/{id_of(6)}/final.json", FINAL)
    odd_row = run_view.build_row(
        run_facts.BucketFacts(RunRecord.from_json(record(7))), run_facts.Status("failed", "killed")
    )
    rows = [{**odd_row, "tags": 5}, None, {"run_id": []}]
    await bucket.put_json(f"{OWNER}/index/0.json", {"version": 1, "rows": rows})
    await bucket.put_bytes(f"{OWNER}/open/0.json", b'{"runs": [{"record": NaN}]}')
    await bucket.put_bytes(f"{OWNER}/deleted/\xe4\xb8\xad odd", b"")
    schedule = f"{OWNER}/schedules/{id_of(8)}"
    await bucket.put_bytes(f"{schedule}/definition.json", b'{"schedule_id": "\\ud800"}')


def by_hand(namespace: str) -> list[Any]:
    """A Job, a CronJob and a LocalQueue that carry our labels and little else of ours."""
    labels = {
        names.LABEL_OWNER: OWNER,
        names.LABEL_RUN_ID: id_of(9),
        names.KUEUE_QUEUE_NAME: "team-a",
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "main",
                "image": "x",
                "command": ["true"],
                "resources": {"requests": {"cpu": "1e30", "memory": "1e400"}},
                "env": [{"name": "NOTHING"}],
            }
        ],
    }
    run = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "by-hand",
            "namespace": namespace,
            "labels": labels,
            "annotations": {names.ANNOTATION_NAME: "a\u0000b\n" * 5000},
        },
        "spec": {"suspend": True, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "by-hand",
            "namespace": namespace,
            "labels": {
                names.LABEL_OWNER: OWNER,
                names.LABEL_COMPONENT: "schedule",
                names.LABEL_SCHEDULE_ID: id_of(10),
            },
        },
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {
                "metadata": {"labels": {names.KUEUE_QUEUE_NAME: "team-a"}},
                "spec": {"template": {"spec": pod}},
            },
        },
    }
    local_queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": "nowhere", "namespace": namespace},
        "spec": {"clusterQueue": "none"},
    }
    return [run, cron_job, local_queue]


def test_what_others_left_costs_its_own_rows(namespace: Any, local_cluster: Any, tmp_path: Path):
    bucket = Bucket.open(namespace.bucket_dir)
    asyncio.run(fill(bucket))
    local_cluster.apply(by_hand(namespace.name))
    # Whoever may write a status may write any.
    amounts = [{"name": "cpu", "total": "1e400", "borrowed": "9" * 60}]
    reserved = {"flavorsReservation": [{"name": "f", "resources": amounts}]}
    local_cluster.kubectl(
        *("patch", "localqueue", "nowhere", "-n", namespace.name, "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": reserved})),
    )
    environment = {**namespace.env, "JUPYTERHUB_USER": OWNER}
    with running_server(tmp_path / "server", environment, extensions=EXTENSIONS) as server:
        path = write_notebook(server.root, "fine.ipynb", "1 + 1")
        fine = submit(server, path).json["run_id"]
        until_run(server, fine, lambda run: run["state"] == "succeeded")

        runs = until(lambda: listed(server), holds=lambda runs: id_of(9) in runs)
        unreadable = {key for key, run in runs.items() if run["reason"] == "unreadable"}
        assert unreadable == {id_of(number) for number in range(1, 6)}
        assert runs[fine]["state"] == "succeeded"
        assert runs[id_of(6)]["reason"] == "killed"
        assert len(runs[id_of(9)]["name"]) <= field_types.MAX_NAME_LENGTH
        for run_id in runs:
            assert server.request("GET", f"runs/{run_id}").status == 200

        schedules = server.request("GET", "schedules").json["items"]
        assert {item["schedule_id"] for item in schedules} == {id_of(8)}
        queues = server.request("GET", "local-queues").json["items"]
        assert {item["name"] for item in queues} == {*namespace.local_queues, "nowhere"}

        answer = server.request("GET", "health")
        assert answer.status == 200
        said = "\n".join(problem["what"] for problem in answer.json["problems"])
        for number in (*range(1, 6), 8):
            assert id_of(number) in said

        shown = server.request("GET", "/scheduler/jobs")
        assert shown.status == 200
        assert {job["job_id"] for job in strict(shown.body)["jobs"]} == set(runs)
        definitions = server.request("GET", "/scheduler/job_definitions")
        assert definitions.status == 200
        for run_id in runs:
            assert server.request("GET", f"/scheduler/jobs/{run_id}").status == 200

        for run_id in unreadable:
            assert server.request("DELETE", f"runs/{run_id}").status == 204
        assert server.request("DELETE", f"schedules/{id_of(8)}").status == 204
        assert not {*unreadable} & {*listed(server)}


def listed(server: Any) -> dict[str, Any]:
    answer = server.request("GET", "runs")
    assert answer.status == 200, answer.body
    return {item["run_id"]: item for item in answer.json["items"]}


def strict(body: bytes) -> Any:
    """Read JSON as a browser does, which has no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(body, parse_constant=refuse)
