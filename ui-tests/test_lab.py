"""JupyterLab with this extension, as a user sees it in a browser."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import ConsoleMessage, Page

    from conftest import LocalCluster, Namespace

    from .conftest import Lab

pytestmark = [pytest.mark.integration, pytest.mark.browser]

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = "<script>document.title = 'it ran'; parent.document.title = 'it ran'</script>"


def watch_console(page: Page) -> list[str]:
    """Collect the console's errors and what the page's own code did not catch."""
    found: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.append(f"{message.text} ({message.location})")

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def open_lab(page: Page, lab: Lab, path: str = "") -> None:
    page.goto(lab.page_url(path))
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    expect(page.locator("#jp-main-dock-panel")).to_be_visible()


def test_a_run_submitted_on_the_local_cluster_and_its_outputs_opened_in_lab(
    page: Page, start_lab: Callable[..., Lab], local_cluster: LocalCluster, namespace: Namespace
):
    # What `local env` exports is all that this server gets; the namespace is the test's own.
    assert set(namespace.env) == set(local_cluster.env)
    lab = start_lab(namespace.env)
    shutil.copytree(EXAMPLES / "report", lab.root / "report")

    health = lab.call("GET", "health")
    assert health["ok"], health["problems"]
    assert health["namespace"] == namespace.name

    errors = watch_console(page)
    open_lab(page, lab)
    expect(page.locator(".jp-DirListing-item", has_text="report")).to_be_visible()

    run = lab.run_to_end(
        {
            "input_path": "report/weekly-report.ipynb",
            "local_queue": "team-a",
            "resources": {"cpu": "1", "memory": "1Gi"},
            "include_folder": True,
            "parameters": {"region": "north", "weeks": 8},
        }
    )
    assert run["state"] == "succeeded", run["message"]
    outputs = lab.root / "outputs"
    outputs.mkdir()
    for file in run["files"]:
        if file["role"] in ("notebook", "side-effect"):
            content = lab.fetch("GET", f"runs/{run['run_id']}/files/{file['path']}")
            (outputs / file["path"]).write_bytes(content)
    assert {file.name for file in outputs.iterdir()} >= {
        "weekly-report.ipynb",
        "summary.csv",
        "trend.png",
    }

    open_lab(page, lab, "outputs/weekly-report.ipynb")
    notebook = page.locator(".jp-NotebookPanel")
    expect(notebook.get_by_text("region north last 8 weeks")).to_be_visible()
    plot = notebook.locator(".jp-OutputArea-output img")
    plot.scroll_into_view_if_needed()
    expect(plot).to_be_visible()
    assert plot.evaluate("image => image.complete && image.naturalWidth > 100")
    assert not [text for text in errors if "kueue" in text.lower()]

    _a_file_of_a_user_runs_nothing_in_the_browser(page, lab)


def _a_file_of_a_user_runs_nothing_in_the_browser(page: Page, lab: Lab) -> None:
    """Called with a server that runs: what a notebook writes may be anything."""
    source = f"open('page.html', 'w').write({SCRIPT!r})"
    write_notebook(lab.root, "writer.ipynb", source)
    run = lab.run_to_end({"input_path": "writer.ipynb"})
    assert run["state"] == "succeeded", run["message"]
    url = lab.rest_url(f"runs/{run['run_id']}/files/page.html")
    title = page.title()
    with page.expect_download() as started:
        page.evaluate("url => { window.location = url }", url)
    assert started.value.suggested_filename == "page.html"
    assert page.title() == title

    # Were it shown inside of a page all the same, the sandbox keeps the script from running.
    answer = page.request.get(url)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
