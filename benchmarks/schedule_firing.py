"""A schedule that is due every minute: how late its runs are, and when an edit takes effect."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import kubernetes
import report
from bench import ONE_CELL
from report import milliseconds
from servers import BEGUN, FINISHED, SMALL, SUCCEEDED, state_of_ours, state_of_stock

from jupyter_kueue.domain import names
from jupyter_kueue.domain.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench import Bench
    from servers import Ours, Stock

Json = dict[str, Any]

EVERY_MINUTE = "* * * * *"
# A schedule that is created or edited later than that before a minute may miss it.
SAFE_SECONDS = 5
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 90
POINTS = {
    "exists": "the Job exists; stock's row",
    "listed": "the server lists it",
    "begun": "it has begun",
    "finished": "it has finished",
}
HOW = (
    "Both servers have a schedule that is due every minute, of a notebook of one cell, and are "
    "asked ten times a second in the same minutes, so that the CronJob controller here and stock's "
    "task runner there, which looks every ten seconds, meet the same machine. From the full "
    "minute; median (least to most). Then each schedule is edited: from the request to its answer, "
    "by when the CronJob in the cluster, or stock's row, is the new one, and the next run is it."
)


@dataclass
class Run:
    """One run: its name, its state, and each observed point in seconds after it was due."""

    name: str = ""
    state: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, state: str, after_due: float) -> None:
        """Note how the server lists it."""
        self.name, self.state = name, state
        self.seconds.setdefault("listed", after_due)
        if state in BEGUN:
            self.seconds.setdefault("begun", after_due)
        if state in FINISHED:
            self.seconds.setdefault("finished", after_due)


class Schedule(Protocol):
    """A server's schedule that is due every minute. ``runs`` are by minute, since 1970."""

    runs: dict[int, Run]

    def look(self) -> None:
        """Note the current state of its runs."""

    def edit(self, name: str) -> float:
        """Rename it; return the seconds until the new name applied."""


class OurSchedule:
    """Ours: a CronJob, with its definition in the bucket."""

    def __init__(self, bench: Bench, ours: Ours) -> None:
        self.runs: dict[int, Run] = {}
        self._ours = ours
        kubeconfig = bench.cluster["KUBECONFIG"]
        _, active = kubernetes.config.list_kube_config_contexts(kubeconfig)
        self._namespace = active["context"].get("namespace", "default")
        self._api = kubernetes.client.BatchV1Api(
            kubernetes.config.new_client_from_config(kubeconfig)
        )
        body = {
            "input_path": ONE_CELL,
            "local_queue": "team-a",
            "resources": SMALL,
            "schedule": EVERY_MINUTE,
        }
        self._id = ours.call("POST", "jupyter-kueue/schedules", body)["schedule_id"]

    def look(self) -> None:
        jobs = self._api.list_namespaced_job(
            self._namespace, label_selector=f"{names.LABEL_SCHEDULE_ID}={self._id}"
        )
        now = time.time()
        for job in jobs.items:
            minute = names.scheduled_minute(job.metadata.name)
            if minute is not None:
                run = self.runs.setdefault(minute, Run())
                run.seconds.setdefault("exists", now - minute * 60)
        rows = self._ours.call("GET", f"{self._ours.jobs_path}?schedule_id={self._id}")["items"]
        now = time.time()
        for row in rows:
            minute = round(parse_time(row["created_at"]).timestamp()) // 60
            run = self.runs.setdefault(minute, Run())
            run.note(row["name"], state_of_ours(row["state"]), now - minute * 60)

    def edit(self, name: str) -> float:
        before = self._revision()
        began = time.monotonic()
        self._ours.call("PATCH", f"jupyter-kueue/schedules/{self._id}", {"name": name})
        seconds = time.monotonic() - began
        if self._revision() == before:
            raise RuntimeError("ours: an edit was answered before its CronJob was the new one")
        return seconds

    def delete(self) -> None:
        """Delete it, so that it does not keep firing."""
        self._ours.call("DELETE", f"jupyter-kueue/schedules/{self._id}")

    def _revision(self) -> str:
        cron_job = self._api.read_namespaced_cron_job(
            names.cron_job_name(self._id), self._namespace
        )
        revision: str = cron_job.spec.job_template.metadata.labels[names.LABEL_REVISION]
        return revision


class StockSchedule:
    """Stock's: a row in its database, which its server polls."""

    def __init__(self, stock: Stock) -> None:
        self.runs: dict[int, Run] = {}
        self._stock = stock
        body = {
            "name": ONE_CELL,
            "input_uri": ONE_CELL,
            "runtime_environment_name": stock.runtime_environment,
            "output_formats": ["ipynb"],
            "schedule": EVERY_MINUTE,
            "timezone": "UTC",
        }
        self._id = stock.call("POST", "scheduler/job_definitions", body)["job_definition_id"]

    def look(self) -> None:
        found = self._stock.call("GET", f"scheduler/jobs?job_definition_id={self._id}")["runs"]
        now = time.time()
        for job in found:
            minute = job["create_time"] // 60_000
            run = self.runs.setdefault(minute, Run())
            run.seconds.setdefault("exists", job["create_time"] / 1000 - minute * 60)
            run.note(job["name"], state_of_stock(job), now - minute * 60)

    def edit(self, name: str) -> float:
        began = time.monotonic()
        self._stock.call("PATCH", f"scheduler/job_definitions/{self._id}", {"name": name})
        return time.monotonic() - began


def measure(bench: Bench) -> report.Section:
    """Return the delays of both, in the same minutes."""
    minutes, edits = (1, 3) if bench.quick else (4, 10)
    with bench.cleaned(bench.ours("schedule")) as ours, bench.stock("schedule") as stock:
        ours.finish(ONE_CELL)  # imports at the first run do not count
        stock.finish(ONE_CELL)
        mine, theirs = OurSchedule(bench, ours), StockSchedule(stock)
        try:
            due = _watch([mine, theirs], minutes)
            took: dict[str, list[float]] = {"ours": [], "stock": []}
            for turn in range(edits):
                took["ours"].append(mine.edit(f"edited {turn}"))
                took["stock"].append(theirs.edit(f"edited {turn}"))
            after_edit = _watch([mine, theirs], 1)
        finally:
            mine.delete()
    due += after_edit
    ours_runs = [mine.runs.get(minute, Run()) for minute in due]
    stock_runs = [theirs.runs.get(minute, Run()) for minute in due]
    return _section(ours_runs, stock_runs, took, f"edited {edits - 1}")


def _watch(schedules: Sequence[Schedule], minutes: int) -> list[int]:
    """Watch the next runs until all have finished; return when they were due."""
    first = int(time.time() + SAFE_SECONDS) // 60 + 1
    due = list(range(first, first + minutes))
    while time.time() < due[-1] * 60 + PATIENCE_SECONDS:
        for schedule in schedules:
            schedule.look()
        if all(
            minute in schedule.runs and schedule.runs[minute].state in FINISHED
            for schedule in schedules
            for minute in due
        ):
            break
        time.sleep(LOOK_SECONDS)
    return due


def _section(
    ours: Sequence[Run], stock: Sequence[Run], took: dict[str, list[float]], last_edit: str
) -> report.Section:
    rows = []
    for point, text in POINTS.items():
        mine, theirs = _seconds(ours, point), _seconds(stock, point)
        ratio = report.ratio(statistics.median(mine), statistics.median(theirs))
        rows.append((text, report.seconds(mine), report.seconds(theirs), ratio))
    edits = [
        f"{milliseconds(statistics.median(values))}, {milliseconds(max(values))}"
        for values in took.values()
    ]
    missing = sum(run.state != SUCCEEDED for run in ours)
    finished = [statistics.median(_seconds(runs, "finished")) for runs in (ours, stock)]
    return report.Section(
        "A schedule that is due every minute",
        f"{HOW} {len(ours)} minutes, {len(took['ours'])} edits.",
        [
            report.Table(("after the minute", "ours", "stock", "ours is"), rows),
            report.Table(("edit to effect", "ours", "stock"), [("median, most", *edits)]),
        ],
        [
            report.Check(f"each of our {len(ours)} runs came and succeeded", missing == 0),
            report.Check(
                f"a run of ours has finished before one of stock's ({finished[0]:.1f} s against "
                f"{finished[1]:.1f} s after the minute)",
                finished[0] < finished[1],
            ),
            report.Check("our run after an edit is the edited one", ours[-1].name == last_edit),
        ],
    )


def _seconds(runs: Sequence[Run], point: str) -> list[float]:
    # Occasionally one of stock's stays IN_PROGRESS forever.
    return [run.seconds[point] for run in runs if point in run.seconds] or [float("inf")]
