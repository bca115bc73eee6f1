"""What must be true once everything is whole again and has come to rest."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import obstore

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import names, times
from jupyter_kueue.storage.bucket import Bucket

from .kinds import THE_END
from .place import OWNER
from .user import ENDED

if TYPE_CHECKING:
    from conftest import LocalCluster

    from .history import History
    from .place import Place, Site
    from .user import Json, Ledger, Run

# What may become of a run whose pods were killed more often than it has retries.
HARMED = frozenset(
    f"failed {reason}"
    for reason in ("killed", "kernel-died", "staging", "node-lost", "pod-failed", "out-of-memory")
)
_OF_NAMESPACE = ("jobs", "cronjobs", "pods", "workloads.kueue.x-k8s.io")


@dataclass
class Check:
    """One look at everything; ``wrong`` says what is not right, each with its run's name."""

    place: Place
    history: History
    ledger: Ledger
    wrong: list[tuple[str, str]] = field(default_factory=list)
    keys: dict[str, set[str]] = field(default_factory=dict)

    def look(self) -> list[tuple[str, str]]:
        """Return what is wrong, nothing if all is right."""
        rows = [self._rows(site) for site in self.place.sites]
        if self.wrong:
            return self.wrong
        self._compare(*rows)
        self._read_bucket()
        known = {run.run_id: run for run in self.ledger.runs}
        for run in self.ledger.runs:
            self._check_deleted(run) if run.is_deleted else self._check_run(run, rows[0])
        self._check_others(rows[0], known)
        self._check_schedules(rows[0])
        self._check_cluster()
        self._check_bucket(rows[0])
        return self.wrong

    def _say(self, run: str, what: str) -> None:
        self.wrong.append((run, what))

    def _rows(self, site: Site) -> dict[str, Json]:
        """Return a server's rows by id; that it is not well is said."""
        found: dict[str, Json] = {}
        cursor = ""
        server = site.server
        assert server is not None
        health = server.request("GET", "health").json
        if not health["ok"]:
            self._say(site.name, f"health: {health['problems']}")
        while True:
            answer = server.request("GET", f"runs?limit=500{cursor}")
            if answer.status != 200:
                self._say(site.name, f"no list: {answer.body!r}")
                return found
            found |= {row["run_id"]: row for row in answer.json["items"]}
            if answer.json["next_cursor"] is None:
                return found
            cursor = f"&cursor={answer.json['next_cursor']}"

    def _compare(self, left: dict[str, Json], right: dict[str, Json]) -> None:
        for run_id in left.keys() | right.keys():
            one, other = left.get(run_id), right.get(run_id)
            if one is None or other is None:
                row: Json = one or other or {}
                self._say(row["name"], f"{run_id} is listed by one server only: {row}")
                continue
            differ = {key: (one[key], other[key]) for key in one if one[key] != other[key]}
            if differ:
                self._say(one["name"], f"the servers' rows differ: {differ}")
            if one["state"] not in ENDED:
                shown = {key: one[key] for key in ("state", "reason", "message", "detail")}
                self._say(one["name"], f"{run_id} has not ended: {shown}")

    def _read_bucket(self) -> None:
        store = Bucket.open(self.place.namespace.bucket_dir).store
        for chunk in obstore.list(store, f"{OWNER}/"):
            for item in chunk:
                _, kind, *rest = item["path"].split("/", 3)
                self.keys.setdefault(kind, set()).add("/".join(rest))

    def _document(self, run_id: str, key: str) -> Json | None:
        if f"{run_id}/{key}" not in self.keys.get("runs", set()):
            return None
        store = Bucket.open(self.place.namespace.bucket_dir).store
        found = obstore.get(store, f"{pod_contract.run_prefix(OWNER, run_id)}{key}").bytes()
        document: Json = json.loads(bytes(found))
        return document

    def _check_run(self, run: Run, rows: dict[str, Json]) -> None:
        row = rows.get(run.run_id)
        if row is None:
            self._say(run.name, f"{run.run_id} was accepted and is not listed")
            return
        if (row["name"], tuple(row["tags"])) != (run.shown_name, run.tags):
            self._say(run.name, f"is called {row['name']!r} {row['tags']}, not {run.shown_name!r}")
        self._check_end(run, row)

    def _check_end(self, run: Run, row: Json) -> None:
        end = " ".join(filter(None, (row["state"], row["reason"])))
        begun, ended = self._executions(run.run_id)
        harm = self._harm(run.run_id, begun, row)
        right = run.ends | (HARMED if harm > run.retries else frozenset())
        if end not in right:
            said = f"{row['message']} ({row['detail']})"
            self._say(run.name, f"ended as {end!r}, not {sorted(right)}, harm {harm}: {said}")
        most = run.own_attempts + harm
        if len(begun) > most and not run.others_attempts:
            self._say(run.name, f"ran in {len(begun)} pods, {most} at most are right: {begun}")
        result = self._document(run.run_id, pod_contract.RESULT_KEY)
        if (result is not None) != (row["state"] == "succeeded" or row["reason"] in _WITH_RESULT):
            self._say(run.name, f"ended as {end!r} with the result {result}")
        if self._document(run.run_id, pod_contract.FINAL_KEY) is None:
            self._say(run.name, "its end is not recorded")
        if result is not None:
            late = [at for at in begun.values() if at > _seconds(result["ended_at"])]
            if late:
                self._say(run.name, f"ran again after its result: {begun} {result['ended_at']}")
        if row["state"] == "succeeded":
            if not ended:
                self._say(run.name, "succeeded and never came to its last cell")
            self._check_outputs(run, row["run_id"])

    def _check_outputs(self, run: Run, run_id: str) -> None:
        for site in self.place.sites:
            assert site.server is not None
            job = site.server.request("GET", f"runs/{run_id}").json
            roles = {file["role"] for file in job.get("files", ())}
            if not roles >= {"notebook", "log", *run.roles}:
                self._say(run.name, f"{site.name} has only files {sorted(roles)}")
            log = site.server.request("GET", f"runs/{run_id}/logs?tail=5")
            if log.status != 200 or THE_END.encode() not in log.body:
                self._say(run.name, f"{site.name} has no end of its log: {log.status} {log.body!r}")
            notebook = site.server.request("GET", f"runs/{run_id}/notebook")
            if notebook.status != 200 or THE_END.encode() not in notebook.body:
                self._say(run.name, f"{site.name} has no end of its notebook: {notebook.status}")

    def _executions(self, run_id: str) -> tuple[dict[str, Any], set[str]]:
        """Return when the notebook began in which pods, and in which it came to its end."""
        counts = self.place.counts / run_id
        lines = (
            [line.split() for line in counts.read_text().splitlines()] if counts.exists() else []
        )
        numbers = Counter(uid for what, uid, _ in lines if what == "begin")
        begun: dict[str, Any] = {uid: float(at) for what, uid, at in lines if what == "begin"}
        for uid, count in numbers.items():
            if count > 1:
                self._say(run_id, f"ran {count} times in pod {uid}")
        return begun, {uid for what, uid, _ in lines if what == "end"}

    def _harm(self, run_id: str, begun: dict[str, Any], row: Json) -> int:
        """Return how many of a run's pods may have ended by faults."""
        mine = {
            key.rpartition("/")[2].removesuffix(".json")
            for key in self.keys.get("runs", ())
            if key.startswith(f"{run_id}/{pod_contract.ATTEMPTS_PREFIX}")
        } | set(begun)
        attacked = sum(a.is_fatal and a.pod_uid in mine for a in self.history.attacks)
        first = _seconds(row["created_at"])
        last = _seconds(row["finished_at"]) if row["finished_at"] else first
        lost = sum(first <= at <= last + 60 for at in self.history.losses)
        return attacked + lost

    def _check_deleted(self, run: Run) -> None:
        keys = {key for key in self.keys.get("runs", ()) if key.startswith(run.run_id)}
        if keys - {f"{run.run_id}/{pod_contract.DELETED_KEY}"}:
            self._say(run.name, f"was deleted and left {sorted(keys)}")
        for site in self.place.sites:
            assert site.server is not None
            answer = site.server.request("GET", f"runs/{run.run_id}")
            if answer.status != 404:
                self._say(run.name, f"was deleted, and {site.name} has it: {answer.body!r}")

    def _check_others(self, rows: dict[str, Json], known: dict[str, Run]) -> None:
        """Look at what is listed and was never said to be accepted."""
        again = Counter(row["name"] for row in rows.values() if row["run_id"] not in known)
        for row in rows.values():
            name = row["name"]
            if row["run_id"] in known or row["schedule_id"] in self.ledger.schedules:
                continue
            if name in self.ledger.refused:
                self._say(name, f"{row['run_id']} was refused, and is there: {row['state']}")
            elif name not in self.ledger.unanswered:
                self._say(name, f"{row['run_id']} is there, and nobody asked for it")
            elif again[name] > 1:
                self._say(name, f"is there {again[name]} times")

    def _check_schedules(self, rows: dict[str, Json]) -> None:
        for schedule_id, (least, most) in self.ledger.schedules.items():
            made = [row for row in rows.values() if row["schedule_id"] == schedule_id]
            if not least <= len(made) <= most:
                self._say(schedule_id, f"made {len(made)} runs, not {least} to {most}")
            for row in made:
                if row["state"] != "succeeded" and self._harm(row["run_id"], {}, row) <= 4:
                    self._say(schedule_id, f"its run ended as {row}")
            left = [key for key in self.keys.get("schedules", ()) if key.startswith(schedule_id)]
            if [key for key in left if not key.endswith(f"/{pod_contract.DELETED_KEY}")]:
                self._say(schedule_id, f"was deleted and left {left}")

    def _check_cluster(self) -> None:
        cluster: LocalCluster = self.place.cluster
        namespace = self.place.namespace.name
        for kind in _OF_NAMESPACE:
            items = cluster.get(kind, "-n", namespace)["items"]
            for item in items:
                run_id = item["metadata"].get("labels", {}).get(names.LABEL_RUN_ID)
                self._say(run_id or kind, f"left behind: {kind} {item['metadata']['name']}")
        for queue in cluster.get("localqueues", "-n", namespace)["items"]:
            status = queue["status"]
            held = [
                (flavor["name"], resource)
                for flavor in status.get("flavorsReservation", ())
                for resource in flavor["resources"]
                if resource["total"] not in ("0", 0)
            ]
            counted = [status.get(key, 0) for key in _COUNTS_OF_QUEUE]
            if held or any(counted):
                self._say(queue["metadata"]["name"], f"quota is held: {held} {counted}")

    def _check_bucket(self, rows: dict[str, Json]) -> None:
        for key in self.keys.get("runs", ()):
            run_id, _, rest = key.partition("/")
            if run_id not in rows and rest != pod_contract.DELETED_KEY:
                self._say(run_id, f"left in the bucket: {key}")


_WITH_RESULT = (pod_contract.NOTEBOOK_FAILED, pod_contract.TIME_LIMIT, pod_contract.DISK_FULL)
_COUNTS_OF_QUEUE = ("pendingWorkloads", "reservingWorkloads", "admittedWorkloads")


def _seconds(moment: str) -> float:
    return times.parse_time(moment).timestamp()
