"""The main job of this package: a run waits for quota, runs, and its outputs come back."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.request_changes import parse_run_changes
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.domain.run_request import parse_run_request
from jupyter_kueue.domain.run_update import RunUpdate

pytestmark = pytest.mark.integration


async def read(session, run_id, path):
    content = await session.runs.open_file(run_id, path)
    return b"".join([chunk async for chunk in content.chunks])


async def test_run_succeeds_with_parameters_data_file_and_outputs(session, root, write_notebook):
    path = write_notebook(
        "dir/fit.ipynb",
        "data = open('data.csv').read()",
        "print('alpha is', alpha, 'of', data)\nopen('made.txt', 'w').write(str(alpha))",
        parameters="alpha = 1",
    )
    (root / "dir" / "data.csv").write_text("1,2,3")

    run = await session.submit(
        path,
        name="<script>fit</script> ✨ / 1",
        include_folder=True,
        parameters={"alpha": 0.5},
        output_formats=["ipynb", "html"],
    )

    assert run["state"] in ("queued", "starting")  # which a quick Kueue has admitted already
    done = await session.until_state(run["run_id"], "succeeded")
    assert done["name"] == "<script>fit</script> ✨ / 1"
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert done["progress"]["cells_done"] == done["progress"]["cells"] == 4
    roles = {file["path"]: file["role"] for file in done["files"]}
    assert roles["fit.ipynb"] == "notebook"
    assert roles["fit.html"] == "export"
    assert roles["made.txt"] == "side-effect"
    assert next(iter(roles)) == "fit.ipynb"
    assert [file["path"] for file in done["inputs"]] == ["fit.ipynb", "data.csv"]
    notebook = json.loads(await read(session, run["run_id"], "fit.ipynb"))
    texts = [out.get("text", "") for cell in notebook["cells"] for out in cell.get("outputs", [])]
    assert any("alpha is 0.5 of 1,2,3" in "".join(text) for text in texts)
    assert await read(session, run["run_id"], "made.txt") == b"0.5"
    assert b"alpha is" in await read(session, run["run_id"], "fit.html")
    log = b"".join([line async for line in await session.runs.logs(run["run_id"])])
    assert b"alpha is 0.5" in log


async def test_inputs_and_outputs_have_names_of_their_own(session, root, write_notebook, tmp_path):
    path = write_notebook(
        "names/mine.ipynb",
        "import os, subprocess; os.mkdir('input')",
        "open('input/sales.csv', 'w').write('written'); open('sales.csv', 'a').write(' and more')",
        "print(subprocess.check_output(['./run.sh'], text=True), os.stat('run.sh').st_mtime)",
        "os.chmod('sales.csv', 0o755); os.utime('sales.csv', (1_000_000_000, 1_000_000_000))",
    )
    (root / "names" / "sales.csv").write_text("taken along")
    script = root / "names" / "run.sh"
    script.write_text("#!/bin/sh\necho it ran\n")
    script.chmod(0o755)
    os.utime(script, (1_234_567_890, 1_234_567_890))

    run = await session.submit(path, include_folder=True)
    done = await session.until_state(run["run_id"], "succeeded")

    inputs = {file["path"]: file for file in done["inputs"]}
    assert inputs["run.sh"]["executable"]
    assert inputs["run.sh"]["modified_at"] == "2009-02-13T23:31:30.000Z"
    log = b"".join([line async for line in await session.runs.logs(run["run_id"])]).decode()
    assert "it ran\n 1234567890.0" in log
    files = {file["path"]: file for file in done["files"]}
    assert files["sales.csv"]["executable"]
    assert files["sales.csv"]["modified_at"] == "2001-09-09T01:46:40.000Z"
    assert not files["input/sales.csv"]["executable"]

    async def content(kind, path):
        opened = await session.runs.open_file(run["run_id"], path, kind=kind)
        return b"".join([chunk async for chunk in opened.chunks])

    assert await content("inputs", "sales.csv") == b"taken along"
    assert await content("files", "sales.csv") == b"taken along and more"
    assert await content("files", "input/sales.csv") == b"written"
    with pytest.raises(errors.NotFoundError):
        await content("files", "run.sh")
    target = tmp_path / "downloaded"
    await session.runs.download(run["run_id"], {("files", "sales.csv"): target})
    assert target.stat().st_mtime == 1_000_000_000
    assert os.access(target, os.X_OK)


async def test_what_is_missing_of_a_run_is_said(session, root, write_notebook, tmp_path):
    path = write_notebook(
        "lossy.ipynb",
        "from pathlib import Path\nPath.home().joinpath('model.pt').write_text('x')",
        "Path('../above.csv').write_text('x'); Path('kept.csv').write_text('x')",
    )
    content = json.loads((root / path).read_text())
    # nbconvert's HTML needs a field of it that is not there.
    content["metadata"]["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"abc": {"model_name": "FloatProgressModel"}}
    }
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "abc"}}
    output = {"output_type": "display_data", "data": view, "metadata": {}}
    content["cells"].append({**content["cells"][-1], "id": "w", "source": "", "outputs": [output]})
    (root / path).write_text(json.dumps(content))

    run = await session.submit(path, output_formats=["ipynb", "html"])
    done = await session.until_state(run["run_id"], "succeeded")

    assert list(done["format_errors"]) == ["html"]
    [html, elsewhere] = done["warnings"]
    assert html.startswith("No html output: ")
    assert elsewhere == (
        "Not kept, because outside the run's folder: ~/model.pt, ../above.csv. Save files "
        "next to the notebook, with relative paths."
    )
    [row] = (await session.runs.list(RunQuery()))["items"]
    assert row["warnings"] == done["warnings"]


async def test_the_pod_of_a_running_run_is_ready_and_stays_so(
    session, write_notebook, local_cluster, namespace, eventually
):
    # Kueue evicts a run whose pod is not ready for half an hour.
    path = write_notebook("long.ipynb", "print(1)", "import time\ntime.sleep(600)")
    run_id = (await session.submit(path))["run_id"]
    await session.until(run_id, lambda run: (run["progress"] or {}).get("cells_done") == 1)

    def conditions(kind):
        [item] = local_cluster.get(kind, "-n", namespace.name)["items"]
        return {item["type"]: item["status"] for item in item["status"]["conditions"]}

    await eventually(lambda: conditions("workloads")["PodsReady"] == "True")
    assert conditions("pods")["Ready"] == "True"
    [pod] = local_cluster.get("pods", "-n", namespace.name)["items"]
    status = pod["status"]
    containers = status["initContainerStatuses"] + status["containerStatuses"]
    assert {item["name"]: item["ready"] for item in containers} == dict.fromkeys(
        ("stage-in", "stage-out", "notebook"), True
    )
    assert all(item["restartCount"] == 0 for item in containers)


@pytest.mark.parametrize("namespace", [{"gpus": 2}], indirect=True)
async def test_run_waits_for_quota_with_its_position_and_starts_when_there_is_room(
    session, write_notebook, namespace, local_cluster
):
    path = write_notebook("long.ipynb", "import time\ntime.sleep(600)")
    quick = write_notebook("quick.ipynb", "print(1)")
    gpus = {"resources": {"cpu": "100m", "memory": "256Mi", "gpus": 2}}
    holder = await session.submit(path, **gpus)
    await session.until_state(holder["run_id"], "running")
    first = await session.submit(quick, **gpus)
    await session.until(first["run_id"], lambda run: run["position"] is not None)
    second = await session.submit(quick, priority_class="high", **gpus)

    # Preemption is for other queues' borrowing here; within the line, priority goes first.
    await session.until(
        second["run_id"], lambda run: run["state"] != "queued" or run["position"] is not None
    )
    waiting = await session.until(
        first["run_id"], lambda run: "GPU" in (run["message"] or "") or run["state"] != "queued"
    )
    if waiting["state"] == "queued":
        assert waiting["position"]["local_queue"] in (0, 1)
    await session.runs.stop(holder["run_id"])
    for run in (first, second):
        assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"


async def test_failing_cell_is_a_failure_with_its_traceback(session, write_notebook):
    path = write_notebook("bad.ipynb", "x = 1", "1 / 0", "print('never')")

    run = await session.submit(path, max_retries=3)
    done = await session.until_finished(run["run_id"])

    assert (done["state"], done["reason"]) == ("failed", "notebook-failed")
    assert done["message"] == "Cell 2 failed: ZeroDivisionError: division by zero"
    assert done["error"]["cell_index"] == 1
    assert done["error"]["cell_source"] == "1 / 0"
    assert "ZeroDivisionError" in "".join(done["error"]["traceback"])
    assert len(done["attempts"]) == 1
    notebook = json.loads(await read(session, run["run_id"], "bad.ipynb"))
    assert notebook["cells"][1]["outputs"][0]["ename"] == "ZeroDivisionError"


async def test_out_of_memory_is_told_apart(session, write_notebook):
    path = write_notebook("greedy.ipynb", "hog = b'x' * (900 * 2**20)\nimport time\ntime.sleep(60)")

    run = await session.submit(path)
    done = await session.until_finished(run["run_id"])

    assert (done["state"], done["reason"]) == ("failed", "out-of-memory")
    assert "512 MiB" in done["message"]


async def test_dead_kernel_is_told_apart_and_retried(session, write_notebook):
    path = write_notebook("dies.ipynb", "import os\nos.kill(os.getpid(), 11)")

    run = await session.submit(path, max_retries=1)
    done = await session.until_finished(run["run_id"])

    assert (done["state"], done["reason"]) == ("failed", "kernel-died")
    assert len(done["attempts"]) == 2


async def test_time_limit_keeps_what_was_done(session, write_notebook):
    path = write_notebook("slow.ipynb", "print('first')", "import time\ntime.sleep(600)")

    run = await session.submit(path, timeout_seconds=3)
    done = await session.until_finished(run["run_id"])

    assert (done["state"], done["reason"]) == ("failed", "time-limit")
    notebook = json.loads(await read(session, run["run_id"], "slow.ipynb"))
    assert notebook["cells"][0]["outputs"][0]["text"] in ("first\n", ["first\n"])


async def test_more_than_the_quota_is_accepted_and_shown_as_blocked(session, write_notebook):
    path = write_notebook("huge.ipynb", "print(1)")

    run = await session.submit(path, resources={"cpu": "1", "memory": "1Gi", "gpus": 100})
    blocked = await session.until(run["run_id"], lambda run: run["reason"] == "blocked")

    assert blocked["state"] == "queued"
    assert blocked["message"].endswith("with less, or ask an admin for more quota.")


async def test_same_idempotency_key_gives_the_same_job(session, write_notebook):
    path = write_notebook("once.ipynb", "print(1)")
    body = {"input_path": path, "local_queue": "team-a", "idempotency_key": "tuesday"}

    answers = await asyncio.gather(
        *(session.runs.submit(parse_run_request(body)) for _ in range(4))
    )

    assert len({run["run_id"] for run, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    assert (await session.runs.list(RunQuery()))["total"] == 1
    with pytest.raises(errors.ConflictError, match="a different request"):
        await session.runs.submit(parse_run_request({**body, "name": "other"}))


async def test_run_again_with_other_parameters(session, root, write_notebook):
    path = write_notebook("again.ipynb", "print('n is', n)", parameters="n = 1")
    first = await session.submit(path, parameters={"n": 2})
    await session.until_state(first["run_id"], "succeeded")
    (root / path).unlink()

    second = await session.runs.rerun(first["run_id"], parse_run_changes({"parameters": {"n": 3}}))
    done = await session.until_state(second["run_id"], "succeeded")

    assert done["rerun_of"] == first["run_id"]
    log = b"".join([line async for line in await session.runs.logs(second["run_id"])])
    assert b"n is 3" in log


async def test_log_follows_a_run_from_the_queue_to_its_end(session, write_notebook):
    path = write_notebook("talks.ipynb", "print('one')", "import time\ntime.sleep(1)\nprint('two')")
    run = await session.submit(path)

    log = b"".join([line async for line in await session.runs.logs(run["run_id"], follow=True)])

    assert log.index(b"one") < log.index(b"two")
    assert (await session.until_finished(run["run_id"]))["state"] == "succeeded"


async def test_rename_move_and_retag(session, write_notebook, local_cluster, namespace):
    path = write_notebook("moves.ipynb", "print(1)")
    run = await session.submit(path, resources={"cpu": "1", "memory": "1Gi", "gpus": 100})
    await session.until(run["run_id"], lambda run: run["reason"] == "blocked")

    changed = await session.runs.update(
        run["run_id"], RunUpdate(name="new name", tags=("a",), local_queue="team-b")
    )

    assert (changed["name"], changed["tags"], changed["local_queue"]) == (
        "new name",
        ["a"],
        "team-b",
    )
    job = local_cluster.get("job", f"nb-{run['run_id']}", "-n", namespace.name)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-b"
    with pytest.raises(errors.InvalidRequestError, match="local_queue"):
        await session.runs.update(run["run_id"], RunUpdate(local_queue="nosuch"))
