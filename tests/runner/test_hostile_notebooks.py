"""Notebooks that turn on the containers beside them: nothing leaks, and the run ends, told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.stage_out import live_upload
from jupyter_kueue.runner.stage_out.kept_log import KeptLog
from jupyter_kueue.runner.stage_out.live_upload import Live
from jupyter_kueue.runner.staging import workspace
from jupyter_kueue.runner.staging.attempt import Attempt
from jupyter_kueue.storage.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.runner.pod import Job, Pod

SECRET = b"the bucket's credential"

# What the notebook finds in its parent's environment: the control folder C, and the runner's R.
FOLDERS = """
import errno, os, shutil, socket, sys
parent = open(f'/proc/{os.getppid()}/environ').read().split(chr(0))
environment = dict(item.split('=', 1) for item in parent if '=' in item)
C = environment['JUPYTER_KUEUE_CONTROL_DIR']
"""


def everything(job: Job) -> bytes:
    """Return all that the bucket holds of a run, but for what was submitted."""
    return b"\0".join(
        job.read(key) or b""
        for key in job.keys("")
        if not key.startswith(("input/", "record.json"))
    )


def run(job: Job, secret: Path) -> Pod:
    """Run one attempt and check that it leaked nothing."""
    secret.write_bytes(SECRET)
    pod = job.run()
    assert SECRET not in everything(job)
    return pod


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "secret"


@pytest.mark.parametrize(
    "plant",
    [
        "os.symlink({secret!r}, C + '/run.log')",
        "os.symlink('/proc/self/environ', C + '/run.log')",
        "os.link('file', C + '/run.log')",
        "os.mkfifo(C + '/run.log')",
        "os.mkdir(C + '/run.log')",
        "pass",
    ],
)
def test_the_log_is_what_was_printed_whatever_takes_its_place(
    new_run: Callable[..., Job], secret: Path, plant: str
) -> None:
    job = new_run(
        FOLDERS,
        "print('before')\nopen('file', 'w').write('forged')\nos.unlink(C + '/run.log')\n"
        + plant.format(secret=str(secret)),
        "print('after')",
    )
    pod = run(job, secret)
    assert pod.exit_code == 0, pod.log
    log = job.output("run.log")
    assert b"before" in log
    assert b"after" in log
    assert b"forged" not in log


PLANTED: dict[str, str] = {
    "pipes": "for name in names: os.mkfifo(C + '/' + name)",
    "folders": "for name in names: os.makedirs(C + '/' + name + '/full')",
    "links": "for name in names: os.symlink({secret!r}, C + '/' + name)",
    "links to a descriptor": "for name in names: os.symlink('/proc/self/fd/0', C + '/' + name)",
    "sockets": "os.chdir(C)\nfor name in names: socket.socket(socket.AF_UNIX).bind(name)",
    "sparse files": "for name in names: open(C + '/' + name, 'wb').truncate(10 * 2**30)",
    "no JSON": "for name in names: open(C + '/' + name, 'w').write('[' * 100_000)",
    "no folder": "shutil.rmtree(C)",
}


# What execute writes meanwhile may take a place again before something is planted there.
PLANT = """
names = ('ended.json', 'progress.json', 'notebook.ipynb', 'listening')
while True:
    try:
        for path in (C + '/' + name for name in names):
            if os.path.isdir(path) and not os.path.islink(path): shutil.rmtree(path)
            elif os.path.lexists(path): os.unlink(path)
{plant}
        break
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.EADDRINUSE, errno.ENOTEMPTY): raise
"""


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_what_a_notebook_puts_in_the_place_of_reports_holds_nothing_up(
    new_run: Callable[..., Job], secret: Path, plant: str
) -> None:
    job = new_run(
        FOLDERS,
        PLANT.format(plant=textwrap.indent(plant.format(secret=str(secret)), " " * 8)),
        "print('went on')",
    )
    pod = run(job, secret)
    assert pod.exit_code == 0, pod.log
    assert job.result["outcome"] == "succeeded"
    assert b"went on" in job.output("train.ipynb")


@pytest.mark.parametrize(
    "plant",
    [
        "for name in ('.room-for-notebook.ipynb', '.room-for-ended.json'):\n"
        "    os.unlink(f'{C}/{name}'); os.mkdir(f'{C}/{name}')",
    ],
    ids=["folders in place of the room"],
)
def test_a_run_that_succeeded_is_told_as_such(
    new_run: Callable[..., Job], secret: Path, plant: str
) -> None:
    job = new_run(FOLDERS + plant, "print('the end')")
    pod = run(job, secret)
    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log
    assert b"the end" in job.output("train.ipynb")


def test_what_cannot_be_saved_at_the_end_is_said(new_run: Callable[..., Job]) -> None:
    """A file that may have no more bytes fails as a broken disk does, and is no full one."""
    pod = new_run(
        "import os, resource\n"
        "resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (100, 100))\nprint('x' * 1000)"
    ).run()
    assert pod.exit_code == pod_contract.EXIT_STAGING
    assert "File too large" in pod.termination_message


def test_a_log_that_a_notebook_makes_larger_goes_up_in_part(new_run: Callable[..., Job]) -> None:
    job = new_run(FOLDERS + "print('printed', flush=True)\nos.truncate(f'{C}/run.log', 2**40)")
    pod = job.run(**{pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES: "1000000"})
    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log
    [log] = [file for file in job.result["files"] if file["role"] == pod_contract.ROLE_LOG]
    assert log["size_bytes"] < 64 * 2**20


def test_a_notebook_that_ends_itself_by_a_report_of_its_own_lies_about_itself_alone(
    new_run: Callable[..., Job], secret: Path
) -> None:
    job = new_run(
        FOLDERS,
        "import json, time\n"
        "report = {'outcome': 'notebook-failed', 'message': chr(0xd800) + 'x' * 10**5,\n"
        "          'cells': 10**300, 'cells_done': True, 'files': [{}], 'run_id': 'other',\n"
        "          'error': {'name': [], 'traceback': [chr(0xd801)] * 10**4}, 'pod_uid': 'other'}\n"
        "open(C + '/new', 'w').write(json.dumps(report))\n"
        "os.rename(C + '/new', C + '/ended.json')\n"
        "committed = environment['JUPYTER_KUEUE_RUNNER_DIR'] + '/committed.json'\n"
        "while not os.path.exists(committed): time.sleep(0.01)",
    )
    run(job, secret)
    result = job.result
    assert (result["run_id"], result["pod_uid"]) == (job.id, job.pods[0].uid)
    assert len(json.dumps(result)) < 100_000
    assert result["cells"] is None


def test_what_the_staging_containers_say_is_out_of_the_reports_folder(
    new_run: Callable[..., Job], secret: Path
) -> None:
    """In a pod it is on a volume that the notebook mounts read-only (tests/test_manifest.py)."""
    job = new_run(
        FOLDERS,
        "import json\n"
        "for name, forged in (\n"
        "    ('run.json', {'notebook': '../secret', 'output_formats': ['ipynb']}),\n"
        "    ('staged.json', {}), ('staged-checkpoints.json', {'x': {}}),\n"
        "    ('finished.json', {}), ('committed.json', {'committed': True}),\n"
        "): open(C + '/' + name, 'w').write(json.dumps(forged))",
        files={"data.csv": b"1,2\n"},
    )
    pod = run(job, secret)
    assert pod.exit_code == 0, pod.log
    # Of what was staged nothing counts as written, for all that staged.json in there says.
    assert [file["path"] for file in job.result["files"]] == ["train.ipynb", "run.log"]


def test_a_workspace_whose_place_a_link_took(new_run: Callable[..., Job], secret: Path) -> None:
    """Not possible where it is a mount; on the local node it is a folder of the user's."""
    job = new_run(
        FOLDERS,
        "w = environment['JUPYTER_KUEUE_WORKSPACE_DIR']\nos.rename(w, w + '-old')\n"
        f"os.symlink({str(secret.parent)!r}, w)",
    )
    pod = run(job, secret)
    assert pod.exit_code == 0, pod.log
    assert "could not be read" in job.result["file_errors"]["."]


def test_links_and_pipes_among_the_outputs(new_run: Callable[..., Job], secret: Path) -> None:
    job = new_run(
        "import os\nos.makedirs('sub/deep')\nos.mkfifo('sub/pipe')\n"
        f"os.symlink({str(secret)!r}, 'sub/link')\n"
        f"os.symlink({str(secret.parent)!r}, 'folder')\n"
        "os.symlink('/proc/self/environ', 'environment')\n"
        "os.symlink('/proc/self/fd/0', 'descriptor')\nos.symlink('sub/deep/../../own', 'mine')\n"
        "open('own', 'w').write('mine')\nos.link('own', 'sub/hard')",
    )
    pod = run(job, secret)
    assert pod.exit_code == 0, pod.log
    paths = [file["path"] for file in job.result["files"]]
    assert paths == ["train.ipynb", "mine", "own", "sub/hard", "run.log"]


def test_inputs_and_checkpoints_are_never_written_through_a_link(
    new_run: Callable[..., Job], tmp_path: Path
) -> None:
    """A user's image could plant one before the inputs come."""
    outside = tmp_path / "outside"
    outside.mkdir()
    job = new_run("1", files={"sub/data.csv": b"1"})
    pod = job.pod()
    (pod.folder / "workspace" / "sub").symlink_to(outside)
    assert pod.stage_in() == pod_contract.EXIT_STAGING
    assert not list(outside.iterdir())
    assert "sub/data.csv" in pod.termination_message
    assert "is a link" in pod.termination_message
    assert pod.attempt["message"] in pod.termination_message


def test_checkpoints_swapped_for_links_all_the_time_never_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "state").write_bytes(SECRET)
    folder = tmp_path / "checkpoints"
    (folder / "step").mkdir(parents=True)
    (folder / "step" / "state").write_bytes(b"mine")
    (folder / "link").symlink_to(outside)
    control = tmp_path / "control"
    control.mkdir()
    store = tmp_path / "store"
    store.mkdir()
    be_a_pod(monkeypatch)
    attempt = Attempt(Bucket.open(f"file://{store}"), "2026-01-01T00:00:00Z")
    said: list[str] = []
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            for old, new in (
                ("step", "kept"),
                ("link", "step"),
                ("step", "link"),
                ("kept", "step"),
            ):
                (folder / old).rename(folder / new)

    async def upload() -> None:
        await attempt.take_over()
        log = KeptLog(str(control))
        for _ in range(100):
            uploads = Live(attempt, control, folder, {}, log, said.append)
            with contextlib.suppress(FileNotFoundError):
                await uploads.upload_checkpoints(all_of_them=True)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        asyncio.run(upload())
    finally:
        is_over.set()
        swapping.join()
    stored = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert b"mine" in stored
    assert SECRET not in stored


def be_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (pod_contract.ENV_OWNER, pod_contract.ENV_RUN_ID, pod_contract.ENV_POD_UID):
        monkeypatch.setenv(name, name.lower())


def live_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Live:
    be_a_pod(monkeypatch)
    for name in ("control", "checkpoints", "store"):
        (tmp_path / name).mkdir()
    attempt = Attempt(Bucket.open(f"file://{tmp_path / 'store'}"), "2026-01-01T00:00:00Z")
    log = KeptLog(str(tmp_path / "control"))
    asyncio.run(attempt.take_over())
    return Live(attempt, tmp_path / "control", tmp_path / "checkpoints", {}, log, said.append)


def stored(tmp_path: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()
    }


def test_live_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_upload, "MAX_LOG_BYTES", 10)
    said: list[str] = []
    uploads = live_of(tmp_path, monkeypatch, said)
    (tmp_path / "control" / pod_contract.LOG_FILE).write_text("first line\nlast line\n")
    with (tmp_path / "control" / pod_contract.NOTEBOOK_FILE).open("wb") as file:
        file.truncate(10 * 2**30)
    asyncio.run(uploads.upload())
    assert stored(tmp_path)["run.log"] == b"last line\n"
    assert "notebook.ipynb" not in stored(tmp_path)
    assert "the limit is" in said[0]


def test_checkpoints_are_bounded_and_none_of_the_rest_is_taken_for_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pod_contract.ENV_MAX_OUTPUT_FILES, "3")
    monkeypatch.setenv(pod_contract.ENV_MAX_OUTPUT_FILE_BYTES, "1000")
    said: list[str] = []
    uploads = live_of(tmp_path, monkeypatch, said)
    checkpoints = tmp_path / "checkpoints"
    for number in range(3):
        (checkpoints / f"step-{number}").write_text("state")
    asyncio.run(uploads.upload_checkpoints(all_of_them=True))
    with (checkpoints / "sparse").open("wb") as file:
        file.truncate(2**40)
    asyncio.run(uploads.upload_checkpoints(all_of_them=True))
    for number in range(200):
        (checkpoints / f"more-{number}").write_text("state")
    asyncio.run(uploads.upload_checkpoints(all_of_them=True))
    steps = {name for name in stored(tmp_path) if name.startswith("step")}
    assert steps == {"step-0", "step-1", "step-2"}
    assert "sparse" not in stored(tmp_path)
    assert "max_output_file_bytes" in said[0]
    assert len(said[-1]) < 1000


def test_outputs_are_bounded_and_what_is_left_out_is_named(new_run: Callable[..., Job]) -> None:
    job = new_run(
        "import os\nopen('sparse', 'wb').truncate(2**40)\nopen('small', 'w').write('x')",
        "for n in range(300): open(f'file-{n}', 'w').write('x')",
        "os.makedirs(b'odd-\\xff'); open(b'odd-\\xff/\\xfe\\xfd', 'w').write('odd')",
        "here = os.getcwd()\nfor n in range(300): os.mkdir('deep'); os.chdir('deep')\n"
        "open('bottom', 'w').write('x')\nos.chdir(here)",
        environment={pod_contract.ENV_MAX_OUTPUT_FILES: "20"},
    )
    pod = job.run()
    assert pod.exit_code == 0, pod.log
    result = job.result
    assert len(result["files"]) == 2 + 20
    left_out = result["file_errors"]
    assert len(left_out) == workspace.MAX_NAMED + 1
    codes = {said["code"] for said in result["file_error_sentences"].values()}
    assert codes >= {"too-many-output-files", "files-left-out-too"}
    assert any("max_output_files" in why for why in left_out.values())
    assert any(path.startswith("and ") and path.endswith(" more") for path in left_out)
    assert any("max_output_file_bytes" in why for why in left_out.values()) or len(left_out) > 100


def test_a_walk_over_too_many_entries_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_ENTRIES", 50)
    for number in range(60):
        (tmp_path / f"folder-{number}").mkdir()
    left_out = workspace.LeftOut()
    limits = workspace.Limits(files=5, file_bytes=10, total_bytes=100)
    with workspace.UntrustedFolder(tmp_path) as folder:
        assert workspace.take(folder, {}, limits, left_out) == {}
    assert any("50 entries" in why for why in left_out.all().values())


@pytest.mark.timeout(60)
def test_many_names_that_become_one_are_told_apart_quickly() -> None:
    """Comparing each with all before it would take minutes."""
    names = workspace.StoredNames()
    given = [names.take(f"{chr(0xD800 + n % 2048)}.txt") for n in range(40_000)]
    assert len(set(given)) == 40_000
