"""JupyterLab where no cluster can be reached: what is missing is said, and the rest works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.notebooks import write_notebook

from .conftest import running_lab
from .test_lab import open_lab, watch_console
from .test_panel import Panel
from .test_upstream_dialog import Jobs, is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from .conftest import Lab

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    environment = {
        "KUBECONFIG": str(folder / "no-such-file"),
        "JUPYTER_KUEUE_BUCKET": folder.as_uri(),
        "JUPYTER_KUEUE_IMAGE": "an/image",
    }
    with running_lab(folder, environment) as lab:
        yield lab


def test_lab_is_usable_and_health_says_what_is_missing(page: Page, lab: Lab):
    (lab.root / "note.txt").write_text("still here")

    errors = watch_console(page)
    open_lab(page, lab, "note.txt")
    expect(page.locator(".jp-FileEditor").get_by_text("still here")).to_be_visible()
    assert not [text for text in errors if "kueue" in text.lower()]

    health = lab.call("GET", "health")
    assert not health["ok"]
    assert all(problem["what"] and problem["fix"] for problem in health["problems"])
    assert "kubeconfig" in health["problems"][0]["what"].lower()


def shown(text: str) -> str:
    """Return a text as the panel shows it: commands between backticks as code."""
    return text.replace("`", "")


def test_the_panel_says_what_is_missing_and_how_to_mend_it(page: Page, lab: Lab):
    panel = Panel(page).open(lab)
    problem = lab.call("GET", "health")["problems"][0]
    expect(panel.root.get_by_text(shown(problem["what"]))).to_have_count(1)
    panel.root.get_by_role("button", name="Details").click()
    expect(panel.root.get_by_text(shown(problem["fix"]))).to_be_visible()


def test_every_part_of_the_dialog_says_what_is_missing(page: Page, lab: Lab):
    write_notebook(lab.root, "weekly.ipynb", "1")
    problem = lab.call("GET", "health")["problems"][0]
    errors = watch_console(page)
    open_lab(page, lab)
    runs = Jobs(page)
    runs.begin("weekly.ipynb")
    runs.root.get_by_role("button", name="Additional options").click()
    options = runs.root.locator(".jp-Kueue-scheduler")
    expect(options.get_by_text(shown(problem["what"]))).to_be_visible()
    options.get_by_role("button", name="Details").click()
    expect(options.get_by_text(shown(problem["fix"]))).to_be_visible()
    expect(options.get_by_role("combobox")).to_contain_text("The queues could not be read")
    runs.button("Create").click()
    said = runs.root.get_by_role("alert")
    expect(said).to_contain_text(problem["what"])
    runs.button("Cancel").click()
    expect(said).to_contain_text(problem["what"])
    runs.root.get_by_role("tab", name="Job Definitions").click()
    expect(runs.root.get_by_role("heading", name="Job Definitions")).to_be_visible()
    expect(said).to_contain_text(problem["what"])
    # The browser itself reports each answer that is an error.
    assert not [text for text in errors if is_ours(text) and "Failed to load" not in text]
