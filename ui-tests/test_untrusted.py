"""What a run wrote is opened as a stranger's: no script in it acts with the user's session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import running_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from conftest import Namespace

    from .conftest import Lab

pytestmark = [pytest.mark.integration, pytest.mark.browser]

SIZE = {"cpu": "100m", "memory": "512Mi"}
# Does what its name says, with the user's session, if it runs at all.
SCRIPT = """
<p>shown by NAME</p>
<img src="x" onerror="attack()">
<script>
  function attack() {
    const path = location.pathname.replace(/\\/lab\\/.*/, '') + '/api/contents/NAME.txt';
    const token = /_xsrf=([^;]+)/.exec(document.cookie);
    fetch(path, {
      method: 'PUT',
      headers: {'Content-Type': 'application/json', 'X-XSRFToken': token ? token[1] : ''},
      body: JSON.stringify({type: 'file', format: 'text', content: 'was here'})
    });
  }
  attack();
</script>
"""


@pytest.fixture(scope="module")
def lab_of_module(
    lab_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    # Its commands are what clicks come to.
    exposed = "--LabApp.expose_app_in_browser=True"
    with running_lab(tmp_path_factory.mktemp("lab"), lab_namespace.env, exposed) as lab:
        yield lab


@pytest.fixture
def lab(lab_of_module: Lab) -> Iterator[Lab]:
    yield lab_of_module
    lab_of_module.clear()


def output(name: str, mime_type: str = "text/html") -> dict[str, Any]:
    data = {mime_type: SCRIPT.replace("NAME", name), "text/plain": f"plain {name}"}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def notebook(name: str) -> dict[str, Any]:
    code = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"trusted": True},
        "source": f"# {name}",
        "outputs": [output(name), output(name, "image/svg+xml")],
    }
    words = {
        "cell_type": "markdown",
        "metadata": {"trusted": True},
        "source": SCRIPT.replace("NAME", name),
    }
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [code, words]}


def old_notebook(name: str) -> dict[str, Any]:
    cell = {
        "cell_type": "code",
        "language": "python",
        "metadata": {"trusted": True},
        "input": f"# {name}",
        "outputs": [{"output_type": "display_data", "metadata": {}, "html": output(name)["data"]}],
    }
    metadata = {"name": name}
    return {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": metadata,
        "worksheets": [{"metadata": {"trusted": True}, "cells": [cell]}],
    }


def submit_files(lab: Lab) -> str:
    """Run a notebook that says it is trusted, and writes others that do; return the run's id."""
    files = {
        "side.ipynb": notebook("side"),
        "LOUD.IPYNB": notebook("loud"),
        "old.ipynb": old_notebook("old"),
    }
    source = f"import json, pathlib\nfiles = json.loads({json.dumps(json.dumps(files))})\n"
    source += "for path, content in files.items():\n"
    source += "    pathlib.Path(path).write_text(json.dumps(content))\n"
    source += f"page = json.loads({json.dumps(json.dumps(SCRIPT))})\n"
    source += "pathlib.Path('page.html').write_text(page.replace('NAME', 'page'))\n"
    source += "from IPython.display import HTML\nHTML(page.replace('NAME', 'executed'))"
    writes = notebook("input")
    writes["cells"][0]["source"] = source
    writes["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    (lab.root / "writes.ipynb").write_text(json.dumps(writes))
    request = {"input_path": "writes.ipynb", "local_queue": "team-a", "resources": SIZE}
    run = lab.run_to_end(request)
    assert run["state"] == "succeeded", run["message"]
    run_id: str = run["run_id"]
    return run_id


def test_no_notebook_of_a_run_is_trusted(page: Page, lab: Lab):
    run_id = submit_files(lab)
    page.goto(lab.page_url())
    page.wait_for_function("window.jupyterapp !== undefined")
    paths = [file["path"] for file in lab.call("GET", f"runs/{run_id}")["files"]]
    assert {"writes.ipynb", "side.ipynb", "LOUD.IPYNB", "old.ipynb", "page.html"} <= {*paths}
    opened = [path for path in paths if path.lower().endswith((".ipynb", ".html"))]
    for path in opened:
        open_file(page, f"kueue:{run_id}/{path}")
    # Whatever a script began would be done before this, on the same connection.
    page.evaluate(
        """async root => {
            await new Promise(done => setTimeout(done, 500));
            await fetch(root + 'api/contents');
        }""",
        lab.url,
    )
    assert sorted(path.name for path in lab.root.iterdir()) == ["writes.ipynb"]


def test_the_script_would_act_in_a_notebook_that_the_user_trusts(page: Page, lab: Lab):
    """The attack works where it may: the test above would see it."""
    (lab.root / "own.ipynb").write_text(json.dumps(notebook("own")))
    page.goto(lab.page_url())
    page.wait_for_function("window.jupyterapp !== undefined")
    open_file(page, "own.ipynb")
    with page.expect_request("**/api/contents/own.txt"):
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:trust'); }")
        page.locator(".jp-Dialog .jp-mod-accept").click()


def open_file(page: Page, path: str) -> None:
    """Open a file of the drive as a click in the file browser does, and wait until it is drawn."""
    page.evaluate(
        """async path => {
            const app = window.jupyterapp;
            await app.restored;
            const widget = await app.commands.execute('docmanager:open', { path });
            await widget.context.ready;
            await widget.revealed;
        }""",
        path,
    )
