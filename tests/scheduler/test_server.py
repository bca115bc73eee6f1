"""Real Jupyter servers with both extensions, and no configuration but what packages install."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager

from tests.server.conftest import running_server
from tests.support.notebooks import write_notebook
from tests.support.polling import until

if TYPE_CHECKING:
    from tests.server.conftest import Server

pytestmark = pytest.mark.integration

CONFIG_FILE = "jupyter_jupyter_scheduler_config.py"
REPOSITORY = Path(__file__).parents[2]
# The others would only take their time to start and to stop.
NOT_NEEDED = ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook_shim")
BOTH = {"jupyter_kueue": True, "jupyter_scheduler": True, **dict.fromkeys(NOT_NEEDED, False)}
SMALL = {"queue": "team-a", "cpu": "100m", "memory": "512Mi"}


def job(path: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "a job",
        "input_uri": path,
        "runtime_environment_name": "default",
        "runtime_environment_parameters": SMALL,
        "output_formats": ["ipynb", "html"],
        **fields,
    }


def run_to_download(server: Server, path: str, **fields: Any) -> Any:
    job_id = server.request("POST", "/scheduler/jobs", job(path, **fields)).json["job_id"]
    return until(
        lambda: server.request("GET", f"/scheduler/jobs/{job_id}").json,
        holds=lambda shown: shown["downloaded"],
    )


def test_the_installed_file_is_the_one_in_the_repository():
    installed = Path(sys.prefix) / "etc" / "jupyter" / CONFIG_FILE
    source = REPOSITORY / "etc" / "jupyter" / CONFIG_FILE
    assert installed.read_text() == source.read_text()


def test_a_job_is_run_and_downloaded_by_itself(namespace, tmp_path):
    with running_server(tmp_path, namespace.env, extensions=BOTH) as server:
        write_notebook(server.root, "deep/a.ipynb", "print('it ran')")
        done = run_to_download(server, "deep/a.ipynb")

        assert done["status"] == "COMPLETED"
        assert done["status_message"] is None
        for file in done["job_files"]:
            assert (server.root / file["file_path"]).stat().st_size > 0
        assert (server.root / "jobs" / f"a-{done['job_id']}").is_dir()
        prefixed = server.request("GET", f"runs/kueue:{done['job_id']}")
        assert prefixed.json["run_id"] == done["job_id"]

        shutil.rmtree(server.root / "jobs")
        got = server.request("GET", f"/scheduler/jobs/{done['job_id']}/download_files")
        assert got.status == 204
        again = server.request("GET", f"/scheduler/jobs/{done['job_id']}").json
        assert again["downloaded"]

        config = server.request("GET", "/scheduler/config").json
        assert config["supported_features"]["stop_job"] is True
        listed = server.request("GET", "/scheduler/jobs?max_items=0").json
        assert listed == {"jobs": [], "total_count": 1}
        gone = server.request("DELETE", f"/scheduler/batch/jobs?job_id={done['job_id']}")
        assert gone.status == 204
        assert server.request("GET", "/scheduler/jobs/count?status=COMPLETED").json == {"count": 0}


def test_a_refused_notebook_is_one_line_of_the_log(namespace, tmp_path):
    with running_server(tmp_path, namespace.env, extensions=BOTH) as server:
        (server.root / "broken.ipynb").write_text("{")
        refused = server.request("POST", "/scheduler/jobs", job("broken.ipynb"))
        assert refused.status == 500
        assert "broken.ipynb" in refused.json["message"]
        log = server.log.read_text()
    assert f"SchedulerApp] {refused.json['message']}" in log
    assert "Traceback" not in log


def test_what_ended_while_no_server_ran_is_downloaded_by_the_next(
    namespace, tmp_path, local_cluster
):
    environment = {**namespace.env, "JUPYTERHUB_USER": "tess"}
    with running_server(tmp_path, environment, extensions=BOTH) as server:
        write_notebook(server.root, "a.ipynb", "import time; time.sleep(3)")
        job_id = server.request("POST", "/scheduler/jobs", job("a.ipynb")).json["job_id"]
    local_cluster.kubectl(
        "wait",
        "-n",
        namespace.name,
        f"job/nb-{job_id}",
        "--for=condition=Complete",
        "--timeout=90s",
    )
    assert not (tmp_path / "root" / "jobs").exists()
    with running_server(tmp_path, environment, extensions=BOTH) as server:
        shown = until(
            lambda: server.request("GET", f"/scheduler/jobs/{job_id}").json,
            holds=lambda shown: shown.get("downloaded"),
        )
        assert shown["status"] == "COMPLETED"
    # A server of another folder leaves it alone, and shows it all the same.
    with running_server(tmp_path / "other", environment, extensions=BOTH) as server:
        write_notebook(server.root, "b.ipynb", "1")
        run_to_download(server, "b.ipynb")
        names = {path.name for path in (server.root / "jobs").iterdir()}
        assert f"a-{job_id}" not in names
        assert server.request("GET", f"/scheduler/jobs/{job_id}").json["downloaded"] is False


def test_a_full_disk_is_told_and_the_download_can_be_repeated(namespace, tmp_path):
    jobs = tmp_path / "root" / "jobs"
    jobs.mkdir(parents=True)
    # A disk of its own, which no other process sees: no privilege is needed for that.
    on_small_disk = [
        *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
        'mount -t tmpfs -o size=2m none "$0" && exec "$@"',
        str(jobs),
    ]
    with running_server(tmp_path, namespace.env, extensions=BOTH, started_by=on_small_disk) as lab:
        seen = Path(f"/proc/{lab.process.pid}/root{jobs}")
        ballast = seen / "ballast"
        ballast.write_bytes(b"x" * (2 * 2**20 - 2**16))
        write_notebook(lab.root, "a.ipynb", "print('it ran')")
        job_id = lab.request("POST", "/scheduler/jobs", job("a.ipynb")).json["job_id"]
        until(
            lambda: lab.request("GET", f"/scheduler/jobs/{job_id}").json,
            holds=lambda shown: shown["status"] == "COMPLETED",
        )

        asked = f"/scheduler/jobs/{job_id}/download_files"
        refused = lab.request("GET", asked)
        assert refused.status == 500
        assert "No space left on device. Fix that and download again" in refused.json["message"]
        shown = lab.request("GET", f"/scheduler/jobs/{job_id}").json
        assert not shown["downloaded"]
        # No half of a file is left, and no list fails: the report is larger than what was free.
        there = {file["file_format"]: file["file_path"] for file in shown["job_files"]}
        assert there["html"] is None
        assert not [path for path in seen.rglob("*") if path.name.startswith(".")]
        assert lab.request("GET", "/scheduler/jobs").json["total_count"] == 1

        ballast.unlink()
        assert lab.request("GET", asked).status == 204
        shown = lab.request("GET", f"/scheduler/jobs/{job_id}").json
        assert shown["downloaded"]
        for file in shown["job_files"]:
            assert (seen.parent / file["file_path"]).stat().st_size > 0


def test_without_a_cluster_jupyter_starts_and_the_dialog_says_what_is_missing(tmp_path):
    environment = {"KUBECONFIG": str(tmp_path / "none")}
    with running_server(tmp_path, environment, extensions=BOTH) as server:
        write_notebook(server.root, "a.ipynb", "1")
        [only] = until(
            lambda: server.request("GET", "/scheduler/runtime_environments").json,
            holds=lambda found: "JUPYTER_KUEUE_BUCKET" in found[0]["description"],
        )
        assert only["name"] == only["label"] == "default"
        for method, path, body in (
            ("POST", "/scheduler/jobs", job("a.ipynb")),
            ("GET", "/scheduler/jobs", None),
            ("GET", "/scheduler/jobs/count", None),
            ("GET", "/scheduler/job_definitions", None),
        ):
            answer = server.request(method, path, body)
            assert answer.status == 500
            assert "JUPYTER_KUEUE_BUCKET" in answer.json["message"]


def test_one_setting_gives_the_stock_backend_back(tmp_path):
    environment = {"JUPYTER_KUEUE_SCHEDULER_BACKEND": "false"}
    (tmp_path / "data").mkdir()  # the stock backend fails where there is none for its database
    with running_server(tmp_path, environment, extensions=BOTH) as server:
        found = server.request("GET", "/scheduler/runtime_environments").json
        assert [item["name"] for item in found] != ["default"]
        assert server.request("GET", "/scheduler/jobs").json == {"jobs": [], "total_count": 0}
        assert (tmp_path / "data" / "scheduler.sqlite").exists()
        # Its jobs are shown, so nothing is to be brought over.
        nothing = {"database": None, "jobs": 0, "schedules": 0}
        nothing |= {"problem": None, "problem_sentence": None}
        assert server.request("GET", "stock-backend").json == nothing


def test_without_our_extension_it_says_which_one_is_missing(tmp_path):
    only_theirs = {**BOTH, "jupyter_kueue": False}
    with running_server(tmp_path, {}, extensions=only_theirs) as server:
        answer = server.request("GET", "/scheduler/jobs")
        assert "jupyter server extension enable jupyter_kueue" in answer.json["message"]


def test_a_downloaded_notebook_that_says_it_is_trusted_is_not(tmp_path: Path):
    """Jupyter's contents manager clears the mark of what the user has not signed, on each read."""
    cell = {"cell_type": "code", "execution_count": None, "source": "", "outputs": []}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {},
        "cells": [{**cell, "metadata": {"trusted": True}}],
    }
    (tmp_path / "downloaded.ipynb").write_text(json.dumps(notebook))
    manager = LargeFileManager(root_dir=str(tmp_path))
    manager.notary.data_dir = str(tmp_path)
    shown = manager.get("downloaded.ipynb")["content"]
    assert shown["cells"][0]["metadata"]["trusted"] is False
