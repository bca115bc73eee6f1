"""Exports run what a notebook's author wrote: apart from credentials, and within bounds."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.runner.export import export
from jupyter_kueue.runner.stage_out import export_requests
from tests.support.notebooks import PYTHON, cell, notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job

pytestmark = pytest.mark.programs

SECRET = "the bucket's credential"
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAA"
    "AABJRU5ErkJggg=="
)


def markdown(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "a", "cell_type": "markdown", "metadata": {}, "source": text, **more}


def made(tmp_path: Path, content: bytes, *formats: str) -> tuple[export_requests.Exports, Path]:
    """Export a notebook as the pod does, without a pod."""
    control, requests, folder = (tmp_path / name for name in ("control", "requests", "made"))
    for one in (control, requests, folder):
        one.mkdir()
    (control / pod_contract.NOTEBOOK_FILE).write_bytes(content)
    export_requests.request(control, requests, "train.ipynb", list(formats))
    source = requests / pod_contract.EXPORT_NOTEBOOK_FOLDER / "train.ipynb"
    problems = export.export(source, list(formats), folder)
    return export_requests.collect(folder, list(formats), problems), folder


@pytest.mark.parametrize(
    "extension",
    [
        "/../../x.py",
        ".d/../../../x.py",
        "/tmp/x.py",
        "\0",
        ".py\ud800",
        "." + "x" * 300,
        "/",
    ],
)
def test_a_name_that_leads_out_of_the_exports_folder_makes_no_file(
    tmp_path: Path, extension: Any
) -> None:
    metadata = {**PYTHON, "language_info": {"name": "nosuch", "file_extension": extension}}
    before = set(tmp_path.parent.iterdir())
    exports, folder = made(tmp_path, notebook("1", **metadata), "script")
    assert list(exports.errors) == ["script"]
    assert "Traceback" not in exports.errors["script"]
    assert exports.files == {}
    assert {path.name for path in tmp_path.iterdir()} == {"control", "requests", "made"}
    assert set(tmp_path.parent.iterdir()) == before
    assert {path.name for path in folder.iterdir()} == {"0"}


def test_an_extension_of_the_authors_own_is_a_file_in_the_exports_folder(tmp_path: Path) -> None:
    metadata = {**PYTHON, "language_info": {"name": "nosuch", "file_extension": ".d/deep/x.py"}}
    exports, _ = made(tmp_path, notebook("1", **metadata), "script")
    assert exports.errors == {}
    assert list(exports.files) == ["train.d/deep/x.py"]


def test_an_attachments_name_that_leads_out_makes_no_file(tmp_path: Path) -> None:
    attached = {"../../../out.png": {"image/png": PICTURE}}
    content = notebook(markdown("![x](attachment:../../../out.png)", attachments=attached))
    made(tmp_path, content, "markdown")
    assert not [path for path in tmp_path.rglob("out.png") if "made" not in path.parts]


def test_no_file_beside_a_notebook_gets_into_an_export(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_text(SECRET)
    text = (
        f"![x]({secret}) ![y](file://{secret}) <img src='{secret}'> ![z](../../secret.png)\n"
        f"{{{{ include '{secret}' }}}} {{% include '{secret}' %}}"
    )
    nbconvert = {"template": str(secret), "template_name": str(tmp_path), "embed_images": True}
    metadata = {**PYTHON, "nbconvert": nbconvert, "title": f"{{% include '{secret}' %}}"}
    formats = ["html", "markdown", "script", "slides"]
    exports, folder = made(tmp_path, notebook(markdown(text), "1", **metadata), *formats)
    assert exports.errors == {}
    embedded = base64.b64encode(SECRET.encode())[:20]
    for path in folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert embedded not in path.read_bytes()


def test_an_exporter_that_the_notebook_names_is_not_imported_from_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Exporter: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    info = {"name": "x", "nbconvert_exporter": "evil.Exporter", "file_extension": ".py"}
    exports, _ = made(tmp_path, notebook("1", **PYTHON, language_info=info), "script")
    assert "evil.Exporter" in exports.errors["script"]
    assert not ran.exists()


def test_an_export_runs_apart_from_folder_environment_and_credentials(
    new_run: Callable[..., Job],
) -> None:
    run = new_run(
        "1",
        *(markdown(f"# {number}\n" + "text *more* `code`\n\n" * 200) for number in range(30)),
        output_formats=["html"],
        environment={"SECRET": SECRET, "HTTP_PROXY": f"http://user:{SECRET}@localhost"},
    )
    pod = run.pod()
    # What would be imported if one of these were looked at.
    trap = f"open({str(pod.folder / 'imported')!r}, 'w')\nraise SystemExit('imported')\n"
    for name in ("nbconvert", "sitecustomize", "usercustomize", "jupyter_kueue", "resource"):
        (pod.folder / f"{name}.py").write_text(trap)
    pod.export_environment |= {"PYTHONPATH": str(pod.folder), "HOME": str(pod.folder)}
    pod.export_environment["SECRET"] = SECRET
    assert pod.stage_in() == 0, pod.termination_message
    pod.start()
    container = psutil.Process(pod.export.pid)
    # A child shows its parent's command line until its exec.
    started = until(
        lambda: [c for c in container.children() if c.cmdline() not in ([], container.cmdline())],
        "an export runs",
    )
    child = started[0]
    command, environment, folder = child.cmdline(), child.environ(), child.cwd()
    assert pod.wait() == 0, pod.log
    pod.stop_sidecar()

    assert command[1:4] == ["-I", "-m", "jupyter_kueue.runner.export.export_notebook"]
    assert set(environment) <= {*export.PASSED_ON, "HOME", "TMPDIR", "JUPYTER_NO_CONFIG"}
    assert SECRET not in str(environment)
    assert environment["HOME"] == environment["TMPDIR"] == folder
    assert not Path(folder).exists()
    assert not (pod.folder / "imported").exists()
    assert [file["path"] for file in run.result["files"]] == [
        "train.ipynb",
        "train.html",
        "run.log",
    ]
    assert run.result["files"][1]["format"] == "html"


def test_what_the_container_for_exports_leaves_is_taken_as_any_strangers(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    folder = tmp_path / "made"
    (folder / "0" / "sub").mkdir(parents=True)
    (folder / "0" / "train.html").write_text("mine")
    (folder / "0" / "link.html").symlink_to(secret)
    (folder / "0" / "sub" / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "0" / "pipe")
    (folder / "1").symlink_to(tmp_path)
    (folder / "7").mkdir()
    (folder / "7" / "other").write_text("of no format")
    reply = {
        "errors": {"2": "\ud800" * 5000, "x": "y"},
        "sentences": {"2": {"code": "export-killed", "values": "odd"}, "x": ["odd"]},
    }
    (folder / pod_contract.EXPORT_REPLY_FILE).write_text(json.dumps(reply))
    problems = export_requests.reported_problems(folder)
    exports = export_requests.collect(folder, ["html", "markdown", "pdf"], problems)
    assert exports.files == {"train.html": "0/train.html"}
    assert set(exports.errors) == {"markdown", "pdf"}
    assert len(exports.errors["pdf"].encode()) < 20_000


@pytest.mark.parametrize("reply", [b"[]", b"[" * 10_000, b'{"errors": 1}', b"\xff", b"{}"])
def test_a_reply_that_is_none(tmp_path: Path, reply: bytes) -> None:
    assert export_requests.reported_problems(tmp_path) is None
    os.mkfifo(tmp_path / pod_contract.EXPORT_REPLY_FILE)
    assert export_requests.reported_problems(tmp_path) is None
    (tmp_path / pod_contract.EXPORT_REPLY_FILE).unlink()
    (tmp_path / pod_contract.EXPORT_REPLY_FILE).write_bytes(reply)
    assert export_requests.reported_problems(tmp_path) == {}


def test_more_files_than_anybody_asked_for(tmp_path: Path) -> None:
    picture = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": PICTURE},
    }
    many = {**cell("1"), "outputs": [picture] * (export_requests.MAX_FILES + 1)}
    exports, _ = made(tmp_path, notebook(many), "markdown", "html")
    assert list(exports.files) == ["train.html"]
    assert f"more than {export_requests.MAX_FILES} files" in exports.errors["markdown"]


def test_an_export_that_was_killed_with_its_container_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "made" / "0").mkdir(parents=True)
    source = tmp_path / "train.ipynb"
    source.write_bytes(notebook("1"))
    problems = export.export(source, ["html", "markdown"], tmp_path / "made")
    assert list(problems) == ["0"]
    assert "staging_memory_limit" in problems["0"]


def test_an_export_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_contract, "EXPORT_SECONDS", 0.5)
    spins = [sys.executable, "-c", "import time\nwhile True: time.sleep(1)"]
    monkeypatch.setattr(export, "command", lambda *_: spins)
    exports, _ = made(tmp_path, notebook("1"), "html")
    assert "took longer than 0.5 s" in exports.errors["html"]


def test_a_run_whose_pod_has_no_container_for_exports_says_so(new_run: Callable[..., Job]) -> None:
    """As the pods of a schedule that was saved before there were any."""
    run = new_run("1", output_formats=["ipynb", "html"])
    pod = run.pod()
    for name in (pod_contract.ENV_EXPORT_DIR, pod_contract.ENV_EXPORT_REQUEST_DIR):
        del pod.staging[name]
    assert pod.stage_in() == 0
    pod.start_sidecar()
    pod.start_notebook()
    assert pod.wait() == 0
    pod.stop_sidecar()
    assert "save its schedule" in run.result["format_errors"]["html"]


def test_the_container_for_exports_ends_at_once_where_there_is_nothing_to_export(
    new_run: Callable[..., Job],
) -> None:
    pod = new_run("1", output_formats=["html"]).pod()
    pod.start_export()
    until(lambda: _heeds_sigterm(pod.export.pid), "it listens")
    pod.export.send_signal(signal.SIGTERM)
    # The code of a sidecar counts for nothing.
    assert pod.export.wait(5) in (pod_contract.EXIT_SUCCEEDED, pod_contract.EXIT_INTERRUPTED)


def _heeds_sigterm(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught & 1 << (signal.SIGTERM - 1))
