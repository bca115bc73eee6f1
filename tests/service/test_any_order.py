"""Whatever servers see, in whatever order, and whatever they miss: they agree in the end.

Servers of one owner work on one run, which is submitted, admitted, preempted, stopped, renamed,
deleted, ... Each sees of the cluster what its watches have shown by then, which may be long over;
bucket and cluster go away in the middle of what it does; it is killed and starts again. Once all
is quiet each of them has to show the same, which is what bucket and cluster hold, and nothing is
left to do or left behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from obstore.store import MemoryStore

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain.run_row import FINISHED_STATES
from jupyter_kueue.storage import run_records
from jupyter_kueue.storage.run_records import Records
from tests.service.model_cluster import (
    JOB_NAME,
    JOB_UID,
    RUN_ID,
    FailingBucket,
    ModelCluster,
    moment,
    record,
)
from tests.service.model_server import Server

if TYPE_CHECKING:
    from collections.abc import Coroutine

Json = dict[str, Any]

KINDS = st.sampled_from(["job", "workload", "pods"])
SERVERS = st.integers(0, 1)


class Servers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore()
        self.world = FailingBucket(self.store, "memory")
        self.records = Records(self.world, "tess")
        self.cluster = ModelCluster()
        self.servers = [Server(self.store, self.cluster) for _ in range(2)]
        self.end: Json | None = None
        self.has_result = self.is_deleted = False

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def write(self, key: str, document: Json) -> None:
        self.do(self.records.write(RUN_ID, key, document))

    def keys(self) -> frozenset[str]:
        found: frozenset[str] = self.do(self.records.list_keys(RUN_ID))
        return found

    # --- A submit, which may have died --------------------------------------------------------

    @initialize(died_after=st.sampled_from(["input", "record", "job", None]))
    def submit(self, died_after: str | None) -> None:
        self.is_told = died_after is None
        self.do(self.world.put_bytes(f"{self.records.prefix(RUN_ID)}input/a.ipynb", b"{}"))
        if died_after == "input":
            return
        self.do(self.records.write_record(record()))
        if died_after == "record":
            return
        self.cluster.create_job()
        if died_after != "job":
            self.do(self.records.accept(RUN_ID, {"job_name": JOB_NAME, "uid": JOB_UID}))

    @precondition(lambda self: self.cluster.job is None and "record.json" in self.keys())
    @rule()
    def submit_is_repeated_on_a_third_server(self) -> None:
        if "accepted.json" in self.keys() and self.is_told:
            return
        self.cluster.create_job()
        accepted = {"job_name": JOB_NAME, "uid": JOB_UID}
        if self.do(self.records.accept(RUN_ID, accepted)) is None:
            self.cluster.job = self.cluster.workload = None
        else:
            self.is_told = True

    # --- What happens in the cluster ----------------------------------------------------------

    def waits(self) -> bool:
        job = self.cluster.job
        return job is not None and job["spec"]["suspend"] and not self.has_ended()

    def has_ended(self) -> bool:
        return self.cluster.job is not None and bool(self.cluster.job["status"].get("conditions"))

    def runs(self) -> bool:
        return any(
            pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
            for pod in self.cluster.pods.values()
        )

    @precondition(waits)
    @rule()
    def kueue_admits(self) -> None:
        self.cluster.admit()

    @precondition(lambda self: self.runs() and not self.waits() and self.cluster.job is not None)
    @rule()
    def kueue_preempts(self) -> None:
        self.cluster.preempt()

    @precondition(lambda self: self.runs() and "record.json" in self.keys())
    @rule()
    def inputs_arrive(self) -> None:
        [uid] = list(self.cluster.pods)[-1:]
        key = f"{pod_contract.ATTEMPTS_PREFIX}{uid}.json"
        if key not in self.keys():
            self.write(key, {"pod_uid": uid, "is_staged": True, "started_at": moment()})

    def may_commit(self) -> bool:
        """Tell whether a pod may commit its outputs: within its grace period, too.

        A watch that is so far behind that it has never shown a pod whose Job is gone already is
        not foreseen: the run counts as removed then.
        """
        is_seen = all(server.seen.sees_all_pods() for server in self.servers)
        return self.runs() and (self.cluster.job is not None or is_seen)

    @precondition(lambda self: self.may_commit() and "record.json" in self.keys())
    @rule(outcome=st.sampled_from(["succeeded", "notebook-failed"]))
    def outputs_are_committed(self, outcome: str) -> None:
        if not self.has_result:
            self.has_result = True
            self.write(
                pod_contract.RESULT_KEY,
                {"outcome": outcome, "started_at": moment(), "ended_at": moment()},
            )

    @precondition(runs)
    @rule(code=st.sampled_from([0, 137]))
    def notebook_ends(self, code: int) -> None:
        self.cluster.finish_pod(code if not self.has_result else 0)

    @precondition(
        lambda self: self.cluster.job is not None and not self.runs() and not self.waits()
    )
    @rule()
    def job_is_counted(self) -> None:
        phases = {pod["status"]["phase"] for pod in self.cluster.pods.values()}
        if phases and not self.has_ended():
            self.cluster.finish_job("Failed" if "Failed" in phases else "Complete")

    @precondition(lambda self: self.cluster.job is not None)
    @rule()
    def somebody_deletes_the_job(self) -> None:
        self.cluster.job = self.cluster.workload = None

    @rule()
    def garbage_is_collected(self) -> None:
        self.cluster.collect_garbage()

    # --- What users do ------------------------------------------------------------------------

    def knows_it(self, number: int) -> bool:
        row = self.servers[number].row
        return row is not None and row["state"] not in FINISHED_STATES

    @rule(number=SERVERS, is_noted=st.booleans())
    def user_stops(self, number: int, is_noted: bool) -> None:
        if self.knows_it(number) and "record.json" in self.keys():
            stop = {"at": moment(), "by": "Tess"}
            self.write(pod_contract.STOP_KEY, stop)
            if is_noted:
                self.servers[number].known.note_written(RUN_ID, stop=stop, meta=None)
            self.servers[number].known.mark(RUN_ID, reread=True)

    @rule(number=SERVERS, name=st.sampled_from(["one", "two"]))
    def user_renames(self, number: int, name: str) -> None:
        if self.servers[number].row is not None and "record.json" in self.keys():
            self.do(self.records.change(RUN_ID, {"name": name}))
            self.servers[number].known.mark(RUN_ID, reread=True)

    @rule(number=SERVERS, is_noted=st.booleans())
    def user_deletes(self, number: int, is_noted: bool) -> None:
        if self.servers[number].row is not None and not self.is_deleted:
            self.is_deleted = True
            self.do(self.records.write_tombstone(RUN_ID, run_records.DELETED, "Tess"))
            if is_noted:
                self.servers[number].known.note_deleted(RUN_ID)
            self.servers[number].known.mark(RUN_ID, reread=True)

    # --- What servers see and do --------------------------------------------------------------

    @rule(number=SERVERS, kind=KINDS, is_told=st.booleans(), reread=st.booleans())
    def a_watch_catches_up(self, number: int, kind: str, is_told: bool, reread: bool) -> None:
        server = self.servers[number]
        server.seen.show(kind)
        if is_told:
            server.known.mark(RUN_ID, reread=reread)

    @rule(number=SERVERS, seconds=st.sampled_from([0, 1, 60]))
    def a_server_looks(self, number: int, seconds: int) -> None:
        self.servers[number].clock.advance(seconds)
        self.do(self.servers[number].look())

    @rule()
    def both_look_at_once(self) -> None:
        for server in self.servers:
            server.known.mark(RUN_ID)

        async def look() -> None:
            await asyncio.gather(*(server.look() for server in self.servers))

        self.do(look())

    @rule(number=SERVERS)
    def a_server_compares(self, number: int) -> None:
        self.do(self.servers[number].compare())

    @rule(number=SERVERS, passes=st.integers(0, 6), is_bucket=st.booleans())
    def all_goes_away_in_the_middle(self, number: int, passes: int, is_bucket: bool) -> None:
        server = self.servers[number]
        outage = server.bucket.outage if is_bucket else self.cluster.outage
        outage.passes = passes
        server.known.mark(RUN_ID, reread=True)
        self.do(server.look())
        outage.passes = None

    @rule(number=SERVERS)
    def a_server_is_killed_and_starts_again(self, number: int) -> None:
        self.servers[number] = Server(self.store, self.cluster)
        self.do(self.servers[number].compare())

    # --- What holds ---------------------------------------------------------------------------

    @invariant()
    def an_end_is_final(self) -> None:
        for row in (server.row for server in self.servers):
            if row is None or row["state"] not in FINISHED_STATES:
                continue
            end = {key: row[key] for key in ("state", "reason", "message", "finished_at")}
            self.end = self.end or end
            assert end == self.end

    @invariant()
    def success_is_never_guessed(self) -> None:
        for row in (server.row for server in self.servers):
            assert row is None or row["state"] != "succeeded" or self.has_result

    def teardown(self) -> None:
        try:
            self.all_agree_in_the_end()
        finally:
            self.loop.close()

    def all_agree_in_the_end(self) -> None:
        for _ in range(4):
            for server in self.servers:
                self.do(server.seen.synced())
                self.do(server.compare())
                self.do(server.go_on())
            self.cluster.collect_garbage()
        fresh = Server(self.store, self.cluster)
        self.do(fresh.compare())
        self.do(fresh.go_on())
        rows = [server.row for server in (*self.servers, fresh)]
        assert rows[0] == rows[1] == rows[2]
        self.an_end_is_final()
        self.nothing_is_left_behind(rows[0])

    def nothing_is_left_behind(self, row: Json | None) -> None:
        keys, is_in_cluster = self.keys(), self.cluster.job is not None or self.cluster.pods
        if row is None:
            assert keys <= {pod_contract.DELETED_KEY}
            assert not is_in_cluster
            # A run that a user was told of goes only by a user's word.
            assert self.is_deleted or not self.is_told
            return
        assert not self.is_deleted
        assert (row["state"] in FINISHED_STATES) == (pod_contract.FINAL_KEY in keys)
        if row["state"] in FINISHED_STATES:
            assert not is_in_cluster
        else:
            assert self.cluster.job is not None
            assert pod_contract.STOP_KEY not in keys


TestServers = Servers.TestCase
TestServers.settings = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
