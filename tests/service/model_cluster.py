"""A cluster and a bucket small enough to be in any state: what servers of one owner work on.

The bucket is a real one, in memory. Of the cluster there is what an API server keeps, without any
controller: what Kueue, the Job controller and the kubelet do is said by the test.
"""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

from jupyter_kueue.domain import errors, names
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_facts import ClusterFacts
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.storage.bucket import Bucket

Json = dict[str, Any]

NAMESPACE = "research"
RUN_ID = "6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10"
JOB_NAME = names.job_name(RUN_ID)
JOB_UID, POD_UID = "job-uid", "pod-uid"


def moment() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")


def record() -> RunRecord:
    return RunRecord(
        run_id=RUN_ID,
        name="weekly",
        owner=Owner("Tess", "tess"),
        namespace=NAMESPACE,
        created_at=moment(),
        request=RunRequest("a.ipynb"),
        local_queue="team-a",
        resources=Resources(),
        image="example.org/notebook:1",
        notebook="a.ipynb",
        input=(),
    )


def condition(kind: str, status: str = "True", **more: str) -> Json:
    return {"type": kind, "status": status, "lastTransitionTime": moment(), **more}


class Outage:
    """Lets so many requests pass and refuses the others, until it is over."""

    def __init__(self) -> None:
        self.passes: int | None = None

    def is_on(self) -> bool:
        if self.passes is None:
            return False
        self.passes -= 1
        return self.passes < 0


class ModelCluster:
    """One run's objects, and an API server's answers about them (as ``cluster.connection``)."""

    def __init__(self) -> None:
        self.job: Json | None = None
        self.workload: Json | None = None
        self.pods: dict[str, Json] = {}
        self.outage = Outage()

    # --- What servers ask for -------------------------------------------------------------------

    async def get(self, path: str, params: Any = None, **_: Any) -> Json:
        self._check()
        if path.endswith("/events"):
            return {"items": []}
        if path.endswith(f"/jobs/{JOB_NAME}") and self.job is not None:
            return copy.deepcopy(self.job)
        raise errors.NotFoundError("there is none")

    async def delete(self, path: str, body: Json | None = None) -> Json:
        self._check()
        name = path.rpartition("/")[2]
        if "/jobs/" in path:
            if self.job is None or name != JOB_NAME:
                raise errors.NotFoundError("there is none")
            self.job = self.workload = None
        else:
            uid = (body or {})["preconditions"]["uid"]
            if uid not in self.pods:
                raise errors.NotFoundError("there is none")
            self.end_pod(uid)
        return {}

    def _check(self) -> None:
        if self.outage.is_on():
            raise errors.ClusterUnavailableError("the cluster is away")

    # --- What controllers do --------------------------------------------------------------------

    def create_job(self) -> None:
        self.job = {
            "metadata": {
                "name": JOB_NAME,
                "namespace": NAMESPACE,
                "uid": JOB_UID,
                "resourceVersion": "1",
                "creationTimestamp": moment(),
                "labels": {},
            },
            "spec": {"suspend": True, "template": {"spec": {"containers": []}}},
            "status": {},
        }
        self.workload = {
            "metadata": {"name": "workload", "uid": "workload-uid", "creationTimestamp": moment()},
            "spec": {"queueName": "team-a", "active": True},
            "status": {"conditions": [condition("QuotaReserved", "False", reason="Pending")]},
        }

    def admit(self) -> None:
        assert self.job is not None
        assert self.workload is not None
        self.job["spec"]["suspend"] = False
        self.job["status"]["startTime"] = moment()
        self.workload["status"]["conditions"] = [
            condition("QuotaReserved"),
            condition("Admitted"),
        ]
        uid = f"{POD_UID}-{len(self.pods)}"
        running = {"running": {"startedAt": moment()}}
        self.pods[uid] = {
            "metadata": {"name": uid, "uid": uid, "creationTimestamp": moment(), "labels": {}},
            "spec": {"nodeName": "n"},
            "status": {
                "phase": "Running",
                "initContainerStatuses": [{"name": "stage-in", "image": "r", "state": running}],
                "containerStatuses": [{"name": "notebook", "image": "n", "state": running}],
            },
        }

    def preempt(self) -> None:
        assert self.job is not None
        assert self.workload is not None
        self.job["spec"]["suspend"] = True
        self.workload["status"]["conditions"] = [
            condition("QuotaReserved", "False", reason="Pending"),
            condition("Admitted", "False", reason="NoReservation"),
            condition("Evicted", reason="Preempted"),
        ]
        for uid in list(self.pods):
            self.end_pod(uid)

    def end_pod(self, uid: str) -> None:
        pod = self.pods[uid]
        if "deletionTimestamp" not in pod["metadata"]:
            pod["metadata"]["deletionTimestamp"] = moment()

    def finish_pod(self, code: int) -> None:
        for pod in self.pods.values():
            ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
            pod["status"]["phase"] = "Succeeded" if code == 0 else "Failed"
            pod["status"]["containerStatuses"][0]["state"] = {"terminated": ended}

    def finish_job(self, kind: str) -> None:
        assert self.job is not None
        self.job["status"]["conditions"] = [condition(kind)]

    def collect_garbage(self) -> None:
        """Let pods go whose Job is gone, and those that were deleted."""
        for uid, pod in list(self.pods.items()):
            if self.job is None or "deletionTimestamp" in pod["metadata"]:
                del self.pods[uid]


class SeenCluster:
    """What one server's watches have shown of it so far (as ``service.cluster_state``)."""

    namespace = NAMESPACE
    error = None

    def __init__(self, cluster: ModelCluster) -> None:
        self._cluster = cluster
        self._seen = ClusterFacts()

    async def synced(self) -> None:
        self.show("job")
        self.show("workload")
        self.show("pods")

    def show(self, kind: str) -> None:
        """Let the watch of a kind catch up; whatever it showed in between was missed."""
        news: Any = copy.deepcopy(getattr(self._cluster, kind))
        if kind == "pods":
            news = tuple(news.values())
        self._seen = ClusterFacts(
            **{"job": self._seen.job, "workload": self._seen.workload, "pods": self._seen.pods}
            | {kind: news}
        )

    def cluster_queue_of(self, local_queue: str | None) -> str | None:
        return None

    def most_of(self, cluster_queue: str | None) -> None:
        return None

    def facts(self, run_id: str) -> ClusterFacts:
        return self._seen if run_id == RUN_ID else ClusterFacts()

    def sees_all_pods(self) -> bool:
        return {pod["metadata"]["uid"] for pod in self._seen.pods} >= set(self._cluster.pods)

    def run_ids(self) -> set[str]:
        return {RUN_ID} if self._seen.job is not None or self._seen.pods else set()


class FailingBucket(Bucket):
    """A bucket that can be away."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.outage = Outage()
        self.lost: frozenset[str] = frozenset()

    def translated(self, doing: str, key: str) -> Any:
        if self.outage.is_on() or any(key.endswith(end) for end in self.lost):
            raise errors.BucketUnavailableError("the bucket is away")
        return super().translated(doing, key)
