"""The kinds of runs: what each asks for, what its user does meanwhile, and its right ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local.node.host_processes import MARK

from .user import ENDED, SIZE, Json, User

if TYPE_CHECKING:
    from collections.abc import Callable

OK = ("succeeded",)
STOPPED = ("stopped stopped",)
THE_END = "this is the end"
# Tells who ran it and when, where the checker reads it: outside of pod and bucket.
COUNT = """
import os, time
run_id = os.environ["JUPYTER_KUEUE_RUN_ID"]
pod_uid = os.environ["{mark}"].partition("/pods/")[2].partition("/")[0]
def count(what):
    with open("{folder}/" + run_id, "a") as file:
        file.write(f"{{what}} {{pod_uid}} {{time.time()}}\\n")
def times(what):
    with open("{folder}/" + run_id) as file:
        return sum(line.startswith(what) for line in file)
count("begin")
"""
LAST = f"count('end'); print({THE_END!r})"


def _body(user: User, *cells: str, beside: Json | None = None, **fields: Any) -> Json:
    """Write a notebook of this user's and return a request for it."""
    path = f"{user.name}/notebook.ipynb"
    count = COUNT.format(folder=user.place.counts, mark=MARK)
    user.place.write_notebook(path, [count, *cells, LAST], beside or {})
    return {"input_path": path, "local_queue": "team-a", "resources": SIZE, **fields}


def succeeds(user: User) -> None:
    job = user.submit_with_key(_body(user, "time.sleep(1)"))
    user.until(user.accepted(job, OK).run_id, _never)


def succeeds_without_key(user: User) -> None:
    job = user.submit_without_key(_body(user, "time.sleep(1)"))
    user.until(user.accepted(job, OK).run_id, _never)


def fails(user: User) -> None:
    job = user.submit_with_key(_body(user, "raise ValueError('as it must')", max_retries=2))
    user.until(user.accepted(job, ("failed notebook-failed",), retries=2).run_id, _never)


def goes_on_from_a_checkpoint(user: User) -> None:
    cell = (
        "import pathlib\n"
        "mark = pathlib.Path(os.environ['CHECKPOINT_DIR'], 'step')\n"
        "first = int(mark.read_text()) if mark.exists() else 0\n"
        "for step in range(first, 12):\n"
        "    time.sleep(1); mark.write_text(str(step + 1)); print('step', step, flush=True)\n"
    )
    job = user.submit_with_key(_body(user, cell, max_retries=6))
    user.until(user.accepted(job, OK, retries=6).run_id, _never)


def meets_its_time_limit(user: User) -> None:
    job = user.submit_with_key(_body(user, "time.sleep(900)", timeout_seconds=3, max_retries=2))
    user.until(user.accepted(job, ("failed time-limit",), retries=2).run_id, _never)


def is_retried(user: User) -> None:
    cell = "if times('begin') == 1: os.kill(os.getpid(), 9)"
    job = user.submit_with_key(_body(user, cell, max_retries=5))
    run = user.accepted(job, OK, retries=4, own_attempts=2)
    user.until(run.run_id, _never)


def is_preempted(user: User) -> None:
    """All GPUs, half of them borrowed, until somebody more urgent wants some."""
    low = _body(
        user,
        "time.sleep(6)",
        resources={**SIZE, "gpus": 4},
        priority_class="low",
        max_retries=4,
    )
    job = user.submit_with_key(low)
    run = user.accepted(job, OK, retries=4, others_attempts=True)
    user.until(run.run_id, lambda job: job["state"] == "running")
    high = {**low, "resources": {**SIZE, "gpus": 2}, "priority_class": "high"}
    job = user.submit_without_key(high)
    urgent = user.accepted(job, OK, retries=4)
    user.until(urgent.run_id, _never)
    user.until(run.run_id, _never)


def is_stopped(user: User) -> None:
    job = user.submit_with_key(_body(user, "time.sleep(900)", max_retries=6))
    run = user.accepted(job, STOPPED, retries=6)
    if user.rng.random() < 0.7:
        user.until(run.run_id, lambda job: job["state"] == "running")
    user.ask("POST", f"runs/{run.run_id}/stop")
    user.until(run.run_id, _never)


def is_stopped_while_it_waits(user: User) -> None:
    body = _body(user, resources={**SIZE, "gpus": 16})
    run = user.accepted(user.submit_with_key(body), STOPPED, own_attempts=0)
    user.until(run.run_id, lambda job: job["reason"] == "blocked")
    user.ask("POST", f"runs/{run.run_id}/stop")
    user.until(run.run_id, _never)


def is_deleted_while_it_runs(user: User) -> None:
    run = user.accepted(user.submit_with_key(_body(user, "time.sleep(900)", max_retries=6)), ())
    if user.rng.random() < 0.7:
        user.until(run.run_id, lambda job: job["state"] == "running")
    user.delete(run)


def is_deleted_after_its_end(user: User) -> None:
    run = user.accepted(user.submit_without_key(_body(user)), OK)
    user.until(run.run_id, _never)
    user.delete(run)


def is_run_again(user: User) -> None:
    run = user.accepted(user.submit_with_key(_body(user, max_retries=4)), OK, retries=4)
    user.until(run.run_id, _never)
    number = 0
    while True:
        # Without a key: each try may be another run, told apart by its name.
        number += 1
        name = f"{user.name}-again{number}"
        site = user.rng.choice(user.place.sites)
        answer = user.try_once(site, "POST", f"runs/{run.run_id}/rerun", {"name": name})
        if answer is not None and answer.status == 201:
            again = user.accepted(answer.json, OK, retries=4)
            user.until(again.run_id, _never)
            return
        user.note_refusal(name, answer)
        time.sleep(1)


def is_submitted_at_both_servers(user: User) -> None:
    body = {**_body(user, "time.sleep(1)"), "name": user.name, "idempotency_key": user.name}
    for site in user.place.sites:
        user.try_once(site, "POST", "runs", body)
    job = user.submit_with_key(body)
    user.until(user.accepted(job, OK).run_id, _never)
    for _ in range(2):
        again = user.ask("POST", "runs", body, (200, 201)).json
        if again["run_id"] != job["run_id"]:
            user.history.complain(f"the key gave {again['run_id']} as well", user.name)


def is_renamed_after_its_end(user: User) -> None:
    run = user.accepted(user.submit_with_key(_body(user)), OK)
    user.until(run.run_id, _never)
    for number in range(2):
        name, tag = f"{user.name}, better {number}", f"tag {number}"
        user.ask("PATCH", f"runs/{run.run_id}", {"name": name, "tags": [tag]})
        run.shown_name, run.tags = name, (tag,)
        time.sleep(1)


def is_exported(user: User) -> None:
    body = _body(user, output_formats=["ipynb", "html"], max_retries=4)
    roles = ("notebook", "export", "log")
    run = user.accepted(user.submit_with_key(body), OK, retries=4, roles=roles)
    user.until(run.run_id, _never)


def takes_its_folder_along(user: User) -> None:
    cell = "open('out.txt', 'w').write(open('in.txt').read() * 2)"
    body = _body(user, cell, beside={"in.txt": "x"}, include_folder=True, max_retries=4)
    roles = ("notebook", "side-effect")
    run = user.accepted(user.submit_with_key(body), OK, retries=4, roles=roles)
    user.until(run.run_id, _never)


def prints_much(user: User) -> None:
    body = _body(user, "for n in range(60000): print(n, 'x' * 80)", max_retries=4)
    run = user.accepted(user.submit_with_key(body), OK, retries=4, roles=("log",))
    user.until(run.run_id, _never)


def has_no_image(user: User) -> None:
    body = _body(user, environment="absent")
    run = user.accepted(user.submit_with_key(body), ("failed image-pull",), own_attempts=0)
    user.until(run.run_id, _never)


def is_scheduled(user: User) -> None:
    """Fires once by the clock; the schedule goes and its run stays."""
    body = _body(user, "time.sleep(1)", max_retries=4)
    key = {"name": user.name, "idempotency_key": user.name}
    clock = {"schedule": "* * * * *", "max_runs": 1}
    schedule = user.ask("POST", "schedules", {**body, **key, **clock}, (200, 201)).json
    schedule_id = schedule["schedule_id"]
    user.note(f"schedule {schedule_id}")
    user.ledger.schedules[schedule_id] = (0, 1)
    while time.monotonic() < user.deadline:
        listed = user.ask("GET", f"runs?schedule_id={schedule_id}").json["items"]
        if any(item["state"] in ENDED for item in listed):
            user.ledger.schedules[schedule_id] = (1, 1)
            break
        time.sleep(3)
    else:
        user.history.complain("never fired, or never ended", user.name)
    user.ask("DELETE", f"schedules/{schedule_id}", ok=(204, 404))


def _never(_job: Json) -> bool:
    """Wait for the end."""
    return False


KINDS: tuple[Callable[[User], None], ...] = (
    succeeds,
    succeeds_without_key,
    fails,
    goes_on_from_a_checkpoint,
    meets_its_time_limit,
    is_retried,
    is_preempted,
    is_stopped,
    is_stopped_while_it_waits,
    is_deleted_while_it_runs,
    is_deleted_after_its_end,
    is_run_again,
    is_submitted_at_both_servers,
    is_renamed_after_its_end,
    is_exported,
    takes_its_folder_along,
    prints_much,
    has_no_image,
    is_scheduled,
)
