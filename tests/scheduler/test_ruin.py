"""Twenty kinds of ruin, met through jupyter-scheduler's own routes on one server.

After each, every list answers, and all jobs and definitions there are have their right state, those
of the ruins before too: ``Place.check`` compares them with what the tests wrote down.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from conftest import new_namespace
from jupyter_kueue.domain import errors
from jupyter_kueue.storage.bucket import Bucket
from tests.scheduler.test_server import BOTH
from tests.server.conftest import running_server
from tests.support import proxy as proxies
from tests.support.notebooks import write_notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import LocalCluster, Namespace
    from tests.server.conftest import Answer, Server

pytestmark = pytest.mark.integration

Json = dict[str, Any]

OWNER = "tess"
PATIENCE_SECONDS = 90
STATUSES = ("QUEUED", "IN_PROGRESS", "STOPPING", "STOPPED", "COMPLETED", "FAILED")
SMALL = {"queue": "team-a", "cpu": "100m", "memory": "256Mi"}
# No queue has that many: it waits for as long as a test likes.
WAITS = {**SMALL, "gpus": 100}
# Not due while the tests run.
FAR = "0 0 29 2 *"
# With an id behind it, it is longer than a file system takes.
LONG_NAME = f"{'n' * 240}.ipynb"
SLEEPS = "import time; time.sleep(600)"


@dataclass
class Place:
    """One server, what stands between it and its cluster and bucket, and what must be listed."""

    cluster: LocalCluster
    namespace: Namespace
    folder: Path
    environment: dict[str, str]
    api: proxies.Proxy
    store: proxies.Proxy
    expected: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, bool] = field(default_factory=dict)
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    server: Server = field(init=False)

    def start(self) -> None:
        """Start the server, or end the one that runs and start it anew."""
        self.running.close()
        opened = running_server(self.folder, self.environment, extensions=BOTH)
        self.server = self.running.enter_context(opened)
        until(lambda: self.request("GET", "jobs").status == 200)
        until(lambda: self.request("GET", "job_definitions").status == 200)

    def request(self, verb: str, path: str, body: Any = None) -> Answer:
        return self.server.request(verb, f"/scheduler/{path}", body)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def kubectl(self, *arguments: str, **more: Any) -> str:
        return self.cluster.kubectl(*arguments, "-n", self.namespace.name, **more)

    def objects(self, kinds: str) -> list[Json]:
        items: list[Json] = self.cluster.get(kinds, "-n", self.namespace.name)["items"]
        return items

    # --- What users do ---------------------------------------------------------------------------

    def try_create(self, route: str = "jobs", **fields: Any) -> Answer:
        body = {
            "name": "a job",
            "input_uri": "one.ipynb",
            "runtime_environment_name": "default",
            "runtime_environment_parameters": SMALL,
            "output_formats": ["ipynb"],
            **fields,
        }
        return self.request("POST", route, body)

    def create(self, status: str, **fields: Any) -> str:
        """Create a job that will come to ``status`` and stay there."""
        answer = self.try_create(**fields)
        assert answer.status == 200, answer.body
        job_id: str = answer.json["job_id"]
        self.expected[job_id] = status
        return job_id

    def define(self, **fields: Any) -> str:
        answer = self.try_create("job_definitions", **fields)
        assert answer.status == 200, answer.body
        definition_id: str = answer.json["job_definition_id"]
        self.definitions[definition_id] = True
        return definition_id

    def stop(self, job_id: str) -> None:
        assert self.request("PATCH", f"jobs/{job_id}", {"status": "STOPPED"}).status == 204
        self.expected[job_id] = "STOPPED"

    def delete(self, job_id: str) -> None:
        assert self.request("DELETE", f"jobs/{job_id}").status == 204
        del self.expected[job_id]

    def until(self, job_id: str, status: str) -> Json:
        """Return a job once it has that status."""

        def found() -> Json | None:
            job: Json = self.get(f"jobs/{job_id}")
            return job if job["status"] == status else None

        job: Json = until(found)
        return job

    # --- What must be so -------------------------------------------------------------------------

    def check(self) -> None:
        """Every list answers at once, and comes to show exactly what is expected."""
        until(
            lambda: _differences(self._shown(), (self.expected, self.definitions)),
            "every list shows what is expected",
            holds=lambda differences: not differences,
        )
        for status in STATUSES:
            count = self.get(f"jobs/count?status={status}")["count"]
            assert count == list(self.expected.values()).count(status), status
        paged: list[str] = []
        token = ""
        while token is not None:
            page = self.get(f"jobs?max_items=3{token and f'&next_token={token}'}")
            assert page["total_count"] == len(self.expected)
            paged += [job["job_id"] for job in page["jobs"]]
            token = page.get("next_token")
        assert sorted(paged) == sorted(self.expected)
        for definition_id in self.definitions:
            self.get(f"job_definitions/{definition_id}")
        assert self.server.request("GET", "runs").json["total"] == len(self.expected)
        assert self.server.request("GET", "schedules").json["total"] == len(self.definitions)

    def _shown(self) -> tuple[dict[str, str], dict[str, bool]]:
        jobs = self.get("jobs")["jobs"]
        definitions = self.get("job_definitions")["job_definitions"]
        return (
            {job["job_id"]: job["status"] for job in jobs},
            {item["job_definition_id"]: item["active"] for item in definitions},
        )


def _differences(
    shown: tuple[Json, Json], expected: tuple[Json, Json]
) -> list[tuple[str, Any, Any]]:
    """Return each job and definition that is not as expected: its id, what it is and should be."""
    return [
        (key, found.get(key), wanted.get(key))
        for found, wanted in zip(shown, expected, strict=True)
        for key in found.keys() | wanted.keys()
        if found.get(key) != wanted.get(key)
    ]


@pytest.fixture(scope="module")
def shared(
    local_cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("ruin")
    with new_namespace(local_cluster, folder) as namespace:
        api, kubeconfig = proxies.to_api_server(namespace.user_kubeconfig, folder)
        store, bucket = proxies.to_bucket(namespace.bucket_dir, folder)
        environment = {
            **namespace.env,
            "JUPYTERHUB_USER": OWNER,
            "KUBECONFIG": str(kubeconfig),
            "JUPYTER_KUEUE_BUCKET": str(bucket),
            "JUPYTER_KUEUE_ENVIRONMENTS": '{"nosuch": {"image": "registry.invalid/nosuch:1"}}',
            "JUPYTER_KUEUE_MAX_FOLDER_BYTES": "100000",
            # Tests have less patience than users.
            "JUPYTER_KUEUE_RESYNC_SECONDS": "1",
            "JUPYTER_KUEUE_LEFTOVER_SECONDS": "2",
        }
        place = Place(local_cluster, namespace, folder / "server", environment, api, store)
        with place.running:
            place.start()
            _write_inputs(place.server)
            yield place
        api.down()
        store.down()


def _write_inputs(server: Server) -> None:
    write_notebook(server.root, "one.ipynb", "1")
    write_notebook(server.root, LONG_NAME, "1")
    write_notebook(server.root, "slow.ipynb", "import time; time.sleep(3)")
    write_notebook(server.root, "sleeps.ipynb", SLEEPS)
    write_notebook(server.root, "fails.ipynb", "1 / 0")
    write_notebook(server.root, "dies.ipynb", "import os; os._exit(1)")
    write_notebook(server.root, "eats.ipynb", "x = [bytearray(2**24) for _ in range(10**4)]")
    write_notebook(server.root, "folder/large.ipynb", "1")
    (server.root / "folder" / "data.bin").write_bytes(b"x" * 200_000)
    (server.root / "text.ipynb").write_text("print('hello')")


@pytest.fixture
def place(shared: Place) -> Iterator[Place]:
    """The shared place, checked after each test."""
    yield shared
    shared.check()


# --- What is asked cannot be ----------------------------------------------------------------------


def asked(**parameters: Any) -> Json:
    return {"runtime_environment_parameters": {**SMALL, **parameters}}


REFUSED: dict[str, tuple[Json, str]] = {
    "vanished notebook": ({"input_uri": "gone.ipynb"}, "input_uri: gone.ipynb does not exist"),
    "no notebook": ({"input_uri": "text.ipynb"}, "input_uri: text.ipynb is not a valid notebook"),
    "folder": ({"input_uri": "folder"}, "input_uri: folder is a folder"),
    "out of the root": ({"input_uri": "../one.ipynb"}, "input_uri: "),
    "large folder": (
        {"input_uri": "folder/large.ipynb", "package_input_folder": True},
        r"package_input_folder: .* data\.bin \(200000 bytes\).*\.jupyterkueueignore",
    ),
    "unknown format": ({"output_formats": ["docx"]}, "output_formats: docx"),
    "path as format": ({"output_formats": ["ipynb", "../../x"]}, "output_formats: "),
    "unknown environment": ({"runtime_environment_name": "conda"}, "runtime_environment_name: "),
    "unknown compute type": (
        {"compute_type": "huge", "runtime_environment_parameters": {}},
        "compute_type: ",
    ),
    "no parameter's name": ({"parameters": {"a b": "1"}}, "parameters.a b: "),
    "keyword as parameter": ({"parameters": {"class": "1"}}, "parameters.class: "),
    "endless parameter": ({"parameters": {"a": "x" * 2**21}}, "parameters: "),
    "parameter that is no text": ({"parameters": {"a": {"b": {}}}}, "parameters"),
    "unknown queue": (asked(queue="nosuch"), "queue: "),
    "unknown priority": (asked(priority="nosuch"), "priority: "),
    "negative cpu": (asked(cpu="-1"), "cpu: "),
    "no amount of memory": (asked(memory="lots"), "memory: "),
    "no number of gpus": (asked(gpus="many"), "gpus: "),
    "no number of retries": (asked(max_retries="-1"), "max_retries: "),
    "no time": (asked(timeout="soon"), "timeout: "),
    "unknown key": (asked(colour="red"), "colour: .*is not a known parameter"),
    "nested key": (asked(queue={"name": "team-a"}), "queue"),
}
REFUSED_DEFINITIONS: dict[str, tuple[Json, str]] = {
    "no expression": ({"schedule": "every day"}, "schedule: "),
    "no minute": ({"schedule": "61 * * * *"}, "schedule: "),
    "six fields": ({"schedule": "0 0 9 * * *"}, "schedule: "),
    "eighth day": ({"schedule": "0 9 * * 7"}, "schedule: "),
    "last day": ({"schedule": "0 9 L * *"}, "schedule: "),
    "zone inside": ({"schedule": "TZ=UTC 0 9 * * *"}, "schedule: .*timezone"),
    "unknown zone": ({"schedule": FAR, "timezone": "Mars/Base"}, "timezone: "),
    "no policy": ({"schedule": FAR, **asked(concurrency_policy="Never")}, "concurrency_policy: "),
    "no end": ({"schedule": FAR, **asked(end_date="tomorrow")}, "end_date: "),
    "no number of runs": ({"schedule": FAR, **asked(max_runs=-1)}, "max_runs: "),
}


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        *(("jobs", kind) for kind in REFUSED),
        *(("job_definitions", kind) for kind in {**REFUSED, **REFUSED_DEFINITIONS}),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(place: Place, route: str, kind: str):
    fields, said = {**REFUSED, **REFUSED_DEFINITIONS}[kind]
    answer = place.try_create(route, **fields)
    assert answer.status == 500
    assert re.search(said, answer.json["message"], re.DOTALL), answer.json["message"]


def test_an_edit_that_cannot_be_changes_nothing(place: Place):
    definition_id = place.define(schedule=FAR, timezone="Europe/Berlin")
    before = place.get(f"job_definitions/{definition_id}")
    for fields, said in (
        ({"schedule": "every day"}, "schedule: "),
        ({"timezone": "Mars/Base"}, "timezone: "),
        ({"input_uri": "gone.ipynb"}, "input_uri: gone.ipynb does not exist"),
        ({"output_formats": ["docx"]}, "output_formats: "),
        ({"compute_type": "huge"}, "compute_type: "),
    ):
        answer = place.request("PATCH", f"job_definitions/{definition_id}", fields)
        assert answer.status == 500
        assert re.search(said, answer.json["message"]), answer.json["message"]
    assert place.get(f"job_definitions/{definition_id}") == before


def test_a_token_that_stands_for_another_job(place: Place):
    place.create("QUEUED", idempotency_token="once", runtime_environment_parameters=WAITS)
    for name in ("a job", "another"):
        answer = place.try_create(
            name=name, idempotency_token="once", runtime_environment_parameters=WAITS
        )
        assert answer.status == 409
        assert "idempotency" in answer.json["message"]


# --- Runs that come to grief ----------------------------------------------------------------------


def test_each_end_has_its_status_and_says_why(place: Place):
    write_notebook(place.server.root, "short.ipynb", "1")
    definition_id = place.define(input_uri="short.ipynb")
    # A definition's runs start from its own copy.
    (place.server.root / "short.ipynb").unlink()
    answer = place.request("POST", f"job_definitions/{definition_id}/jobs", {})
    of_definition = answer.json["job_id"]
    place.expected[of_definition] = "COMPLETED"
    long_named = place.create("COMPLETED", input_uri=LONG_NAME)
    ends = {
        place.create("COMPLETED"): None,
        long_named: None,
        # Nothing here makes a PDF: the rest is there, and the download says what is missing.
        place.create("COMPLETED", output_formats=["ipynb", "qtpdf"]): "No qtpdf output",
        place.create("FAILED", input_uri="fails.ipynb"): "ZeroDivisionError",
        place.create("FAILED", input_uri="dies.ipynb"): "kernel",
        place.create("FAILED", input_uri="eats.ipynb"): "Ran out of memory",
        place.create("FAILED", input_uri="sleeps.ipynb", **asked(timeout=1)): "limit",
        of_definition: None,
    }
    place.check()
    for job_id, said in ends.items():
        message = place.get(f"jobs/{job_id}")["status_message"]
        assert (message is None) == (said is None), message
        assert said is None or said in message
    [shown] = place.get(f"jobs?job_definition_id={definition_id}")["jobs"]
    assert (shown["job_id"], shown["job_definition_id"]) == (of_definition, definition_id)
    # Where its files cannot be written this is said, and mended by asking again.
    folder = place.server.root / "jobs"
    for job_id in (of_definition, long_named):
        until(lambda job_id=job_id: place.get(f"jobs/{job_id}")["downloaded"])
    folder.rename(folder.with_name("kept"))
    folder.write_text("in the way")
    place.check()
    answer = place.request("GET", f"jobs/{of_definition}/download_files")
    assert answer.status == 500
    assert "could not be written to jobs/" in answer.json["message"]
    folder.unlink()
    assert place.request("GET", f"jobs/{of_definition}/download_files").status == 204
    assert place.get(f"jobs/{of_definition}")["downloaded"]


def test_an_environment_that_cannot_be_fetched(place: Place):
    job_id = place.create("IN_PROGRESS", runtime_environment_name="nosuch")
    place.check()
    place.stop(job_id)


# --- Somebody at work with kubectl ----------------------------------------------------------------


def test_jobs_removed_with_kubectl(place: Place):
    finished = place.create("COMPLETED")
    running = place.create("IN_PROGRESS", input_uri="sleeps.ipynb")
    queued = place.create("QUEUED", runtime_environment_parameters=WAITS)
    place.check()
    names = [f"nb-{job_id}" for job_id in (finished, running, queued)]
    place.kubectl("delete", "job", *names, "--wait=false")
    place.expected.update({running: "FAILED", queued: "FAILED"})
    place.check()
    for job_id in (running, queued):
        assert "deleted this run" in place.get(f"jobs/{job_id}")["status_message"]


def test_a_workload_that_is_deactivated(place: Place):
    job_id = place.create("QUEUED", runtime_environment_parameters=WAITS)

    def workload() -> Json | None:
        owned = (item for item in place.objects("workloads") if job_id in item["metadata"]["name"])
        return next(owned, None)

    name = until(workload)["metadata"]["name"]
    place.kubectl("patch", "workload", name, "--type=merge", "-p", '{"spec": {"active": false}}')
    place.expected[job_id] = "STOPPED"
    place.until(job_id, "STOPPED")


def test_a_queue_that_is_held_and_one_that_goes(place: Place):
    to_b = {**WAITS, "queue": "team-b"}
    saved = json.loads(place.kubectl("get", "localqueue", "team-b", "-o", "json"))
    waiting = place.create("QUEUED", runtime_environment_parameters=to_b)

    def is_refused(why: str) -> bool:
        answer = place.try_create(runtime_environment_parameters=to_b)
        if answer.status == 200:
            place.expected[answer.json["job_id"]] = "QUEUED"
        return answer.status == 500 and why in answer.json["message"]

    hold = '{"spec": {"stopPolicy": "Hold"}}'
    place.kubectl("patch", "localqueue", "team-b", "--type=merge", "-p", hold)
    until(lambda: is_refused("queue: team-b is not accepting runs: an admin paused it"))
    place.check()
    place.kubectl("delete", "localqueue", "team-b")
    until(lambda: is_refused("queue: there is no queue team-b"))
    place.check()
    assert place.get(f"jobs/{waiting}")["status_message"] is None
    kept = {"name": "team-b", "namespace": place.namespace.name}
    place.cluster.apply([{**saved, "metadata": kept, "status": {}}])


def test_a_cron_job_that_is_paused_moved_and_deleted(place: Place):
    definition_id = place.define(schedule=FAR, timezone="Europe/Berlin")
    name = f"nb-{definition_id}"

    def spec() -> Json | None:
        found = [item for item in place.objects("cronjobs") if item["metadata"]["name"] == name]
        return found[0]["spec"] if found else None

    def is_as_defined() -> bool:
        found = spec()
        return found is not None and found["schedule"] == FAR

    patch = ("patch", "cronjob", name, "--type=merge", "-p")
    place.kubectl(*patch, '{"spec": {"suspend": true}}')
    place.definitions[definition_id] = False
    place.check()
    # A time that nobody sees would be kept to in silence; a pause stays through it.
    place.kubectl(*patch, '{"spec": {"schedule": "* * * * *"}}')
    until(is_as_defined)
    place.check()
    place.kubectl("delete", "cronjob", name)
    until(is_as_defined)
    place.definitions[definition_id] = True


def test_a_job_that_kubectl_made_with_our_labels(place: Place):
    from_cron = place.define(schedule=FAR, runtime_environment_parameters=WAITS)
    source = place.create("QUEUED", runtime_environment_parameters=WAITS)
    place.check()
    job = json.loads(place.kubectl("get", "job", f"nb-{source}", "-o", "json"))
    copied = []
    for name in ("by-hand-1", "by-hand-2"):
        job_id = str(uuid.uuid4())
        labels = {**job["metadata"]["labels"], "jupyter-kueue/run-id": job_id}
        template = job["spec"]["template"]
        template["metadata"]["labels"] = {
            key: value
            for key, value in template["metadata"]["labels"].items()
            if "controller-uid" not in key and "job-name" not in key
        } | {"jupyter-kueue/run-id": job_id}
        spec = {key: value for key, value in job["spec"].items() if key != "selector"}
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": labels},
            "spec": {**spec, "template": template},
        }
        place.kubectl("create", "-f", "-", input=json.dumps(body))
        place.expected[job_id] = "QUEUED"
        copied.append(job_id)
    made = place.kubectl("create", "job", f"--from=cronjob/nb-{from_cron}", "now", "-o", "json")
    of_definition = json.loads(made)["metadata"]["uid"]
    place.expected[of_definition] = "QUEUED"
    place.check()
    assert place.get(f"jobs/{of_definition}")["job_definition_id"] == from_cron
    first, second = copied
    assert place.get(f"jobs/{first}")["name"] == "by-hand-1"
    place.stop(first)
    place.check()
    place.kubectl("delete", "job", "by-hand-2")
    del place.expected[second]
    place.check()
    place.delete(first)


# --- Cluster, bucket and server go down -----------------------------------------------------------


@pytest.fixture
def wire(place: Place) -> Iterator[Place]:
    """The place for a test that breaks a connection; it is whole again afterwards."""
    yield place
    for away in (place.api, place.store):
        away.refuse = lambda _verb, _path: None
        away.down()
        away.up()


@pytest.mark.parametrize("refusal", [proxies.full, proxies.forbidden])
def test_a_bucket_that_takes_nothing(wire: Place, refusal: proxies.Refusal):
    job_id = wire.create("QUEUED", runtime_environment_parameters=WAITS)
    definition_id = wire.define(schedule=FAR)
    wire.store.refuse = refusal
    for verb, path, body in (
        ("PATCH", f"jobs/{job_id}", {"status": "STOPPED"}),
        ("PATCH", f"job_definitions/{definition_id}", {"name": "other"}),
        ("POST", f"job_definitions/{definition_id}/jobs", {}),
    ):
        answer = wire.request(verb, path, body)
        assert answer.status == 500, (verb, path)
        assert re.search("is full|does not allow", answer.json["message"]), (
            verb,
            path,
            answer.body,
        )
    for route in ("jobs", "job_definitions"):
        assert re.search("is full|does not allow", wire.try_create(route).json["message"])
    wire.check()


def test_a_bucket_that_refuses_deletes(wire: Place):
    job_id = wire.create("QUEUED", runtime_environment_parameters=WAITS)
    definition_id = wire.define(schedule=FAR)
    wire.store.refuse = proxies.forbidden
    for path in (f"jobs/{job_id}", f"job_definitions/{definition_id}"):
        answer = wire.request("DELETE", path)
        assert answer.status == 500, path
        assert "does not allow" in answer.json["message"]
    wire.check()


def test_a_full_bucket_can_be_cleared(wire: Place):
    job_id = wire.create("QUEUED", runtime_environment_parameters=WAITS)
    definition_id = wire.define(schedule=FAR)
    wire.store.refuse = proxies.full
    for path in (f"jobs/{job_id}", f"job_definitions/{definition_id}"):
        assert wire.request("DELETE", path).status == 204
    del wire.expected[job_id]
    del wire.definitions[definition_id]
    wire.check()


@pytest.mark.parametrize("which", ["api", "store"])
def test_lists_answer_while_cluster_or_bucket_are_down(wire: Place, which: str):
    job_id = wire.create("QUEUED", runtime_environment_parameters=WAITS)
    goes_on = wire.create("COMPLETED", input_uri="slow.ipynb")
    away: proxies.Proxy = getattr(wire, which)
    wire.until(goes_on, "IN_PROGRESS")
    shown = wire.get("jobs")
    away.down()
    # The second, where a watch was cut in the middle of an event just now.
    message = wire.try_create().json["message"]
    assert "does not answer" in message or "broke" in message
    # Refused, or promised and kept, if it was not known yet that the cluster is away.
    answer = wire.request("PATCH", f"jobs/{job_id}", {"status": "STOPPED"})
    assert answer.status in (204, 500)
    if answer.status == 204:
        wire.expected[job_id] = "STOPPED"
    assert wire.get("jobs")["total_count"] == shown["total_count"]
    assert len(wire.get("job_definitions")["job_definitions"]) == len(wire.definitions)
    away.up()
    wire.check()
    until(lambda: wire.request("DELETE", f"jobs/{job_id}").status == 204)
    del wire.expected[job_id]


def test_a_server_that_is_killed_in_the_middle(wire: Place):
    stopped = wire.create("STOPPED", runtime_environment_parameters=WAITS)
    deleted = wire.create("QUEUED", runtime_environment_parameters=WAITS)
    goes_on = wire.create("COMPLETED", input_uri="slow.ipynb")
    edited, dropped = (wire.define(schedule=FAR), wire.define(schedule=FAR))
    asked: list[Callable[[], Answer]] = [
        lambda: wire.request("PATCH", f"jobs/{stopped}", {"status": "STOPPED"}),
        lambda: wire.request("DELETE", f"jobs/{deleted}"),
        lambda: wire.try_create(name="never"),
        lambda: wire.request("PATCH", f"job_definitions/{edited}", {"name": "new"}),
        lambda: wire.request("DELETE", f"job_definitions/{dropped}"),
        lambda: wire.try_create("job_definitions", schedule=FAR, name="made"),
    ]
    reached: set[tuple[str, str]] = set()
    bucket = Bucket.open(wire.namespace.bucket_dir)

    async def is_edited() -> bool:
        definition = await bucket.get_json(f"{OWNER}/schedules/{edited}/definition.json")
        return bool(definition["name"] == "new")

    is_dead = threading.Event()

    def kill_before_the_last_write(verb: str, path: str) -> tuple[int, bytes] | None:
        """Hold what each of them sends to the cluster until all have come so far."""
        if verb == "GET" or "dryRun" in path:
            return None
        reached.add((verb, path.partition("?")[0].rpartition("/")[2]))
        # The keeper may write the edited one's CronJob too, before its new definition is stored.
        if len(reached) >= len(asked) and asyncio.run(is_edited()):
            wire.server.process.kill()
            is_dead.set()
        is_dead.wait(PATIENCE_SECONDS)
        return 500, b""

    def is_cut_off(ask: Callable[[], Answer]) -> bool:
        try:
            ask()
        except (OSError, http.client.HTTPException):
            return True
        return False

    wire.api.refuse = kill_before_the_last_write
    with ThreadPoolExecutor(len(asked)) as threads:
        assert all(threads.map(is_cut_off, asked)), reached
    wire.api.refuse = lambda _verb, _path: None
    wire.start()
    del wire.expected[deleted]
    del wire.definitions[dropped]
    # Its definition was written, so the next server finishes it; the job was not handed over.
    [made] = [
        item["job_definition_id"]
        for item in wire.get("job_definitions")["job_definitions"]
        if item["name"] == "made"
    ]
    wire.definitions[made] = True
    wire.check()
    assert wire.get(f"job_definitions/{edited}")["name"] == "new"
    wire.until(goes_on, "COMPLETED")

    def has_what_was_asked() -> bool:
        there = {item["metadata"]["name"] for item in wire.objects("cronjobs,jobs")}
        return {f"nb-{edited}", f"nb-{made}"} <= there and not there & {
            f"nb-{dropped}",
            f"nb-{stopped}",
            f"nb-{deleted}",
        }

    until(has_what_was_asked)


def test_records_that_somebody_damaged(wire: Place):
    bucket = Bucket.open(wire.namespace.bucket_dir)
    finished, kept = wire.create("COMPLETED"), wire.create("COMPLETED")
    queued = [
        wire.create("QUEUED", runtime_environment_parameters=WAITS, tags=["damaged"])
        for _ in range(6)
    ]
    definition, on_demand = wire.define(schedule=FAR), wire.define()
    unmade = wire.define(schedule=FAR, runtime_environment_parameters=WAITS)
    wire.check()
    revisions = asyncio.run(bucket.list(f"{OWNER}/schedules/{unmade}/revisions"))
    damage: dict[str, bytes] = {
        f"runs/{finished}/result.json": b"{}",
        f"runs/{queued[0]}/record.json": b"",
        f"runs/{queued[1]}/record.json": b'{"run_id": "x"',
        f"runs/{queued[2]}/record.json": b"[]",
        f"runs/{queued[3]}/record.json": b'{"run_id": 5, "created_at": "soon"}',
        f"runs/{queued[4]}/accepted.json": b"null",
        f"runs/{queued[5]}/meta.json": b'{"name": 7, "tags": "x"}',
        f"schedules/{definition}/definition.json": b'{"request": {}}',
        f"schedules/{on_demand}/definition.json": b"\xff",
        "index/00000000000000000000-damaged.json": b'{"rows": [{"run_id": 1}, null]}',
        "index/00000000000000000001-damaged.json": b"[",
    }

    async def is_in_the_index() -> bool:
        found = set()
        for item in await bucket.list(f"{OWNER}/index"):
            # Many small ones are put together, and are gone then.
            with contextlib.suppress(errors.NotFoundError):
                found |= {row["run_id"] for row in (await bucket.get_json(item.key))["rows"]}
        return {finished, kept} <= found

    async def write() -> None:
        for item in await bucket.list(f"{OWNER}/index"):
            await bucket.put_bytes(item.key, b"{")
        for key, data in damage.items():
            await bucket.put_bytes(f"{OWNER}/{key}", data)
        for item in revisions:
            await bucket.put_bytes(item.key, b"[]")

    # A server that runs knows the jobs that it has read; the next one reads all of it.
    # What it puts into the index after this would be shown for what was damaged.
    until(lambda: asyncio.run(is_in_the_index()))
    asyncio.run(write())
    wire.definitions[on_demand] = False
    wire.check()
    wire.start()
    # A run of a definition that cannot be made is there all the same, and holds its place.
    made = wire.kubectl(
        "create", "job", f"--from=cronjob/nb-{unmade}", f"nb-{unmade}-29000000", "-o", "json"
    )
    run_id = json.loads(made)["metadata"]["uid"]
    wire.expected[run_id] = "QUEUED"
    unreadable = [finished, *queued[:4]]
    wire.expected.update(dict.fromkeys(unreadable, "FAILED"))
    wire.check()
    for job_id in unreadable:
        assert "Delete the run" in wire.get(f"jobs/{job_id}")["status_message"]
        wire.delete(job_id)
    answer = wire.request("POST", f"job_definitions/{unmade}/jobs", {})
    assert "cannot be understood" in answer.json["message"]
    wire.delete(run_id)
    for definition_id in (definition, on_demand):
        path = f"job_definitions/{definition_id}"
        answer = wire.request("PATCH", path, {"name": "other"})
        assert "Delete the schedule and create it again" in answer.json["message"]
        assert wire.request("DELETE", path).status == 204
        del wire.definitions[definition_id]
    wire.check()
    gone = {f"nb-{job_id}" for job_id in queued[:4]} | {f"nb-{definition}"}
    until(lambda: not gone & {item["metadata"]["name"] for item in wire.objects("jobs,cronjobs")})
    assert wire.get(f"jobs/{kept}")["status"] == "COMPLETED"


def test_in_the_end_all_of_it_can_be_deleted(place: Place):
    place.check()
    for definition_id in list(place.definitions):
        assert place.request("DELETE", f"job_definitions/{definition_id}").status == 204
    place.definitions.clear()
    left = [job["job_id"] for job in place.get("jobs")["jobs"]]
    query = "&".join(f"job_id={job_id}" for job_id in left)
    assert place.request("DELETE", f"batch/jobs?{query}").status == 204
    place.expected.clear()
    place.check()
    until(lambda: not place.objects("jobs,cronjobs,pods,workloads"))
    bucket = Bucket.open(place.namespace.bucket_dir)

    def is_clean() -> bool:
        keys = [item.key for item in asyncio.run(bucket.list(f"{OWNER}/"))]
        return all("/deleted" in key or "/index/" in key for key in keys)

    until(is_clean)
