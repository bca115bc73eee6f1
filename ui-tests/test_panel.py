"""The side panel: queues and runs as they change, and what can be done with them."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyter_core.paths
import pytest
from jupyter_scheduler.orm import Job as StockJob
from jupyter_scheduler.orm import JobDefinition, create_session, create_tables
from playwright.sync_api import expect

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import times
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.storage.bucket import Bucket
from jupyter_kueue.storage.run_records import Records
from jupyter_kueue.storage.summaries import Summaries
from tests.support.notebooks import write_notebook

from .accessibility import THEMES, choose_theme, expect_accessible
from .test_upstream_dialog import Jobs, expect_idle

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page, Request

    from conftest import Namespace

    from .conftest import Lab

pytestmark = [pytest.mark.integration, pytest.mark.browser]

SIZE = {"cpu": "100m", "memory": "512Mi"}
NARROWEST = 200


class Panel:
    """The panel in a page, by what a user sees of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("#jp-kueue-panel")

    def open(self, lab: Lab) -> Panel:
        self.page.goto(lab.page_url())
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
        self.page.locator('.jp-SideBar .lm-TabBar-tab[data-id="jp-kueue-panel"]').click()
        expect(self.root).to_be_visible()
        return self

    def section(self, name: str) -> Locator:
        return self.root.locator(f'[data-section="{name}"]')

    def row(self, run_id: str) -> Locator:
        return self.root.locator(f'[data-run-id="{run_id}"]')

    def row_in(self, section: str, run_id: str) -> Locator:
        return self.section(section).locator(f'[data-run-id="{run_id}"]')

    def act(self, run_id: str, label: str) -> None:
        """Press one of the buttons that a row shows to the pointer."""
        row = self.row(run_id)
        row.hover()
        row.get_by_role("button", name=label).click()

    def choose(self, run_id: str, item: str) -> None:
        """Choose from the menu of a row, which the button with the dots opens as well."""
        self.act(run_id, "More actions")
        self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def submit(lab: Lab, path: str, *, gpus: int = 0, **fields: Any) -> str:
    resources = {**SIZE, "gpus": gpus}
    body = {"input_path": path, "local_queue": "team-a", "resources": resources, **fields}
    run_id: str = lab.call("POST", "runs", body)["run_id"]
    return run_id


def write_notebooks(lab: Lab) -> Lab:
    """Write one that ends and one that does not."""
    # Files hold texts as lists of lines.
    two_lines = "# of two\nprint('one', 'two', 'three', sep='\\n')"
    write_notebook(lab.root, "quick.ipynb", "print('made in the cluster')", two_lines)
    endless = ["print('made so far')", "import time; time.sleep(3600)", "'never'"]
    write_notebook(lab.root, "endless.ipynb", *endless)
    return lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """A Lab whose two teams share four GPUs."""
    return write_notebooks(shared_lab)


@pytest.fixture
def panel(page: Page, lab: Lab) -> Panel:
    return Panel(page).open(lab)


def test_a_run_is_followed_from_waiting_to_its_open_output(panel: Panel, lab: Lab):
    expect(panel.root.get_by_text("No runs. Submit a notebook")).to_be_visible()
    gpus = panel.section("queues").locator('[data-queue="team-a"]').get_by_role("meter", name="GPU")
    expect(gpus).to_have_attribute("aria-valuetext", "0 of 2")

    holder = submit(lab, "endless.ipynb", gpus=4, name="holds all GPUs")
    expect(panel.row_in("running", holder)).to_have_attribute("data-state", "running")
    expect(gpus).to_have_attribute("aria-valuetext", "2 of 2 + 2 borrowed")
    expect(panel.row(holder)).to_contain_text(re.compile(r"cell 2 of 3 · \d+ s"))
    panel.row(holder).dblclick()
    so_far = panel.page.locator(".jp-NotebookPanel")
    expect(so_far.get_by_text("made so far", exact=True)).to_be_visible()
    expect(so_far.get_by_text("No Kernel")).to_be_visible()
    panel.choose(holder, "Open Log")
    expect(panel.page.locator(".jp-FileEditor").get_by_text("made so far")).to_be_visible()

    run_id = submit(lab, "quick.ipynb", gpus=1, name="waits its turn")
    row = panel.row_in("waiting", run_id)
    expect(row).to_contain_text(re.compile(r"next · \d+ s"))
    expect(row).to_contain_text("Waiting for 1 GPU · team-a")
    expect(panel.section("queues")).to_contain_text("1 waiting")

    # A row that stays in its group stays the same element, so that nothing flickers or jumps.
    row.evaluate("row => { row.marked = true }")
    later = submit(lab, "quick.ipynb", gpus=1, name="waits longer")
    expect(panel.row_in("waiting", later)).to_contain_text("1 run ahead")
    assert row.evaluate("row => row.marked === true")

    panel.act(holder, "Stop")
    expect(panel.row_in("finished", holder)).to_have_attribute("data-state", "stopped")
    expect(panel.row_in("finished", run_id)).to_contain_text("Succeeded")
    expect(panel.row_in("finished", later)).to_have_attribute("data-state", "succeeded")
    expect(gpus).to_have_attribute("aria-valuetext", "0 of 2")

    panel.row(run_id).dblclick()
    notebook = panel.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(notebook.get_by_text("made in the cluster", exact=True)).to_be_visible()
    expect(notebook.locator(".jp-OutputArea-output pre").nth(1)).to_have_text("one\ntwo\nthree\n")
    expect(notebook.locator(".jp-CodeCell .cm-line")).to_have_count(3)
    expect(notebook.get_by_text("notebook is read-only")).to_be_visible()
    expect(notebook.get_by_text("No Kernel")).to_be_visible()

    panel.row(run_id).click(button="right")
    with panel.page.expect_download() as download:
        panel.page.get_by_role("menuitem", name="Download", exact=True).click()
    assert "made in the cluster" in download.value.path().read_text()


def test_an_open_notebook_and_log_follow_their_run_to_its_end(
    panel: Panel, lab: Lab, tmp_path: Path
):
    page = panel.page
    gates = [tmp_path / f"gate-{number}" for number in range(2)]
    wait = (
        "import os, time\nwhile not os.path.exists({!r}): time.sleep(0.05)\nprint('after gate {}')"
    )
    waits = [wait.format(str(gate), number) for number, gate in enumerate(gates)]
    fill = [f"print('line {number}\\n' * 30)" for number in range(3)]
    write_notebook(lab.root, "gated.ipynb", *fill, *waits, "1 / 0")
    run_id = submit(lab, "gated.ipynb")
    expect(panel.row(run_id)).to_contain_text("cell 4 of 6")

    panel.choose(run_id, "Open Log")
    log = page.locator(".jp-FileEditor:not(.lm-mod-hidden)")
    expect(log.get_by_text("line 2").last).to_be_visible()
    panel.row(run_id).dblclick()
    result = page.locator(".jp-Kueue-result")
    bar = result.locator(".jp-Kueue-following")
    expect(bar).to_have_text("Running: cell 4 of 6. Read-only; updates every few seconds.")
    prompts = result.locator(".jp-InputPrompt")
    expect(prompts.nth(3)).to_have_text("[*]:")
    scroller = result.locator(".jp-WindowedPanel-outer")
    scroller.evaluate("scroller => scroller.scrollTo({ top: 300 })")
    first_cell = result.locator(".jp-CodeCell").nth(1)
    first_cell.evaluate("cell => { cell.marked = true }")
    top = scroller.evaluate("scroller => scroller.scrollTop")

    # A cell ends: nothing but that cell changes.
    gates[0].touch()
    expect(bar).to_contain_text("cell 5 of 6")
    expect(result.get_by_text("after gate 0", exact=True)).to_have_count(1)
    expect(prompts.nth(3)).to_have_text("[4]:")
    expect(prompts.nth(4)).to_have_text("[*]:")
    assert scroller.evaluate("scroller => scroller.scrollTop") == top
    assert first_cell.evaluate("cell => cell.marked === true")
    expect(page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    for theme in THEMES:
        choose_theme(page, theme)
        expect_accessible(page, ".jp-Kueue-result .jp-Kueue-following", theme)
    choose_theme(page, "JupyterLab Light")

    # Nobody looks at the log meanwhile, so it is not asked for; it is as soon as it is seen.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    gates[1].touch()
    expect(bar).to_have_text(re.compile("This run has failed. .*ZeroDivisionError.*Open Result"))
    assert not [url for url in asked if f"{run_id}/logs" in url]
    page.get_by_role("tab", name="run.log").click()
    expect(log.get_by_text("after gate 1")).to_be_visible()
    expect(page.get_by_text("This run has failed.").locator("visible=true")).to_have_count(1)

    page.get_by_role("tab", name="gated.ipynb").click()
    bar.get_by_role("button", name="Open Result").click()
    expect(result.locator("pre").filter(has_text="ZeroDivisionError").last).to_be_in_viewport()
    expect(bar).to_have_count(0)


def test_a_result_is_read_copied_changed_and_run_again(panel: Panel, lab: Lab):
    page = panel.page
    write_notebook(
        lab.root,
        "fails.ipynb",
        *("print('x\\n' * 40)" for _ in range(5)),
        "open('found.csv', 'w').write('region,sales')",
        "raise ValueError('no column ' + column)",
    )
    source = (lab.root / "fails.ipynb").read_text()
    failed = submit(lab, "fails.ipynb", name="sales", parameters={"column": "region"})
    expect(panel.row_in("finished", failed)).to_contain_text("ValueError: no column region")

    # It opens where it failed, clean, and is read-only.
    panel.row(failed).dblclick()
    result = page.locator(".jp-Kueue-result")
    traceback = result.locator("pre").filter(has_text="ValueError: no column region")
    expect(traceback).to_be_in_viewport()
    # Its tab says when: the source, and other runs of it, have the same name.
    tab = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="fails.ipynb")
    expect(tab).to_have_attribute("data-kueue-time", re.compile(r"^\d"))
    expect(page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)

    panel.choose(failed, "Show Files")
    files = page.locator(".jp-Kueue-runFiles")
    for path in ("fails.ipynb", "found.csv", "run.log"):
        expect(files.locator(f'[data-kind="files"][data-path="{path}"]')).to_be_visible()
    expect(files.locator('[data-kind="inputs"][data-path="fails.ipynb"]')).to_be_visible()
    files.get_by_role("button", name="Copy found.csv to my files").click()
    page.locator(".jp-Dialog").get_by_role("button", name="Select").click()
    expect(page.get_by_text("Copied to found.csv.")).to_be_visible()
    assert (lab.root / "found.csv").read_text() == "region,sales"
    files.get_by_role("button", name="found.csv", exact=True).click()
    expect(page.locator(".jp-CSVViewer")).to_be_visible()

    # What is changed in a result is saved among the user's own files, whatever the name.
    panel.row(failed).dblclick()
    result.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.type("# mine ")
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Save Notebook As…", exact=True).click()
    _a_result_is_saved_under_a_plain_name(page)
    assert "# mine" in (lab.root / "fails-Copy1.ipynb").read_text()
    assert (lab.root / "fails.ipynb").read_text() == source

    panel.choose(failed, "Edit and Run Again…")
    dialog = page.locator(".jp-Dialog")
    dialog.get_by_role("textbox", name="Memory").fill("lots")
    dialog.get_by_role("button", name="Run again").click()
    expect(dialog.get_by_text("Enter an amount, such as 4 GiB")).to_be_visible()
    dialog.get_by_role("textbox", name="Memory").fill("0.25 GB")
    dialog.get_by_role("textbox", name="Name of parameter 1").fill("not a name")
    dialog.get_by_role("textbox", name="Value of parameter 1").fill("north")
    dialog.get_by_role("button", name="Run again").click()
    expect(dialog.locator(".jp-Kueue-parameters .jp-Kueue-error")).to_contain_text("not a name")
    dialog.get_by_role("textbox", name="Name of parameter 1").fill("column")
    dialog.get_by_role("button", name="Run again").click()
    edited = panel.section("finished").locator(".jp-Kueue-run").filter(has_text="no column north")
    expect(edited).to_be_visible()
    panel.act(failed, "Run again")
    expect(panel.section("finished").get_by_text("no column region")).to_have_count(2)
    sent = {
        run["request"]["parameters"]["column"]: run["request"]["resources"]
        for run in lab.call("GET", "runs")["items"]
    }
    assert sent["north"] == {**SIZE, "memory": "0.25G", "gpus": 0}


def _a_result_is_saved_under_a_plain_name(page: Page) -> None:
    dialog = page.locator(".jp-Dialog")
    expect(dialog.get_by_label("Path in your files")).to_have_value("fails-Copy1.ipynb")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("tab", name="fails-Copy1.ipynb")).to_be_visible()
    expect(page.locator(".jp-Kueue-result")).to_have_count(0)
    expect_idle(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)"))
    expect(page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    expect(page.get_by_text("Saving started")).to_have_count(0)


def test_many_tabs_of_results_keep_their_names_and_can_be_closed(panel: Panel, lab: Lab):
    page = panel.page
    write_notebook(lab.root, "parts.ipynb", "for n in range(9): open(f'{n}.txt', 'w').write('x')")
    run_id = submit(lab, "parts.ipynb")
    expect(panel.row_in("finished", run_id)).to_be_visible()
    panel.choose(run_id, "Show Files")
    files_tab = page.get_by_role("tab", name="Files of parts")
    for number in range(9):
        files_tab.click()
        page.get_by_role("button", name=f"{number}.txt", exact=True).click()
        expect(page.locator(".lm-TabBar-tab.lm-mod-current[data-kueue-time]")).to_contain_text(
            f"{number}.txt"
        )
    tabs = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab[data-kueue-time]")
    expect(tabs).to_have_count(9)
    cut_off = tabs.evaluate_all("""tabs => tabs.filter(tab => {
        const label = tab.querySelector('.lm-TabBar-tabLabel');
        const close = tab.querySelector('.lm-TabBar-tabCloseIcon');
        const end = tab.getBoundingClientRect().right;
        return label.scrollWidth > label.clientWidth || close.getBoundingClientRect().right > end;
    }).map(tab => tab.textContent)""")
    assert cut_off == []


def test_the_list_is_used_by_keyboard_and_filtered_and_axe_finds_nothing(panel: Panel, lab: Lab):
    page = panel.page
    holder = submit(lab, "endless.ipynb", gpus=4, name="holds all GPUs")
    done = submit(lab, "quick.ipynb", name="done")
    expect(panel.row_in("finished", done)).to_be_visible()
    expect(panel.row(holder)).to_contain_text("cell 2 of 3")
    for name in ("this", "that", "the other"):
        submit(lab, "quick.ipynb", gpus=4, name=name)
    waiting = panel.section("waiting").locator(".jp-Kueue-run")
    expect(waiting).to_have_count(3)
    expect(waiting.nth(2)).to_contain_text("2 runs ahead")
    first, second, third = (row.get_attribute("data-run-id") or "" for row in waiting.all())

    _axe_finds_nothing_in_three_themes(panel, done)

    def selected() -> list[str | None]:
        rows = panel.root.locator('[role="treeitem"][aria-selected="true"]')
        return [row.get_attribute("data-run-id") for row in rows.all()]

    panel.row(first).click()
    page.keyboard.press("ArrowDown")
    expect(panel.row(second)).to_be_focused()
    page.keyboard.press("Shift+ArrowDown")
    assert selected() == [second, third]
    page.keyboard.press("Control+a")
    assert selected() == [first, second, third, holder, done]
    page.keyboard.press("Home")
    expect(panel.section("waiting")).to_be_focused()
    page.keyboard.press("End")
    expect(panel.row(done)).to_be_focused()
    panel.row(first).click()
    panel.row(third).click(modifiers=["Shift"])
    assert selected() == [first, second, third]
    assert page.evaluate("() => getSelection().toString()") == ""

    # Where a row is deleted the keyboard is on the next one.
    panel.row(second).click()
    page.keyboard.press("Delete")
    page.locator(".jp-Dialog").get_by_role("button", name="Delete").click()
    expect(panel.row(second)).to_have_count(0)
    expect(panel.row(third)).to_be_focused()

    panel.root.get_by_role("searchbox").fill("state:succeeded")
    expect(panel.row(third)).to_have_count(0)
    expect(panel.section("waiting")).to_contain_text("0 of 2")
    expect(panel.row(done)).to_be_visible()
    panel.root.get_by_role("searchbox").fill("state:fin")
    expect(panel.row(done)).to_be_visible()
    panel.root.get_by_role("searchbox").fill("state:bogus")
    expect(panel.root.get_by_text("There is no state “bogus”. Use one of these: ")).to_be_visible()
    expect(panel.row(done)).to_have_count(0)
    panel.root.get_by_role("searchbox").fill("")
    expect(panel.row(third)).to_be_visible()

    _what_is_folded_stays_so(panel, third, done)


def _axe_finds_nothing_in_three_themes(panel: Panel, done: str) -> None:
    page = panel.page
    panel.choose(done, "Show Files")
    for theme in THEMES:
        choose_theme(page, theme)
        expect_accessible(page, f"#jp-kueue-files-{done}", theme)
        panel.row(done).hover()
        panel.row(done).click()
        expect_accessible(page, "#jp-kueue-panel", theme)
    panel.choose(done, "Edit and Run Again…")
    expect_accessible(page, ".jp-Dialog-content:has(.jp-Kueue-form) .jp-Dialog-body", theme)
    page.locator(".jp-Dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    choose_theme(page, "JupyterLab Light")


def _what_is_folded_stays_so(panel: Panel, waiting: str, done: str) -> None:
    page = panel.page
    with page.expect_response(lambda answer: is_stored(answer.request, '"folded":["waiting"]')):
        panel.section("waiting").locator(".jp-Kueue-heading").click()
    expect(panel.row(waiting)).to_have_count(0)
    page.reload()
    expect(panel.row(done)).to_be_visible()
    expect(panel.section("waiting")).to_have_attribute("aria-expanded", "false")


def is_stored(request: Request, text: str) -> bool:
    """Tell whether Lab stores its workspace with something in it."""
    data = (request.post_data or "").replace(" ", "")
    return request.method == "PUT" and "/api/workspaces/" in request.url and text in data


def test_a_waiting_run_is_stopped_and_deleting_asks_once_for_all(panel: Panel, lab: Lab):
    blocked = submit(lab, "quick.ipynb", gpus=16, name="asks for too much")
    others = [submit(lab, "quick.ipynb", gpus=16, name=f"other {n}") for n in range(21)]
    why = panel.row_in("waiting", blocked).locator(".jp-Kueue-why")
    expect(why).to_have_text(
        re.compile("^Will not start: team-a has at most 4 GPUs, this run asks for")
    )

    for theme in THEMES:
        choose_theme(panel.page, theme)
        expect_accessible(panel.page, "#jp-kueue-panel", theme)
    choose_theme(panel.page, "JupyterLab Light")

    panel.act(blocked, "Stop")
    expect(panel.row_in("finished", blocked)).to_have_attribute("data-state", "stopped")

    dialog = panel.page.locator(".jp-Dialog")
    panel.choose(blocked, "Delete…")
    expect(dialog).to_contain_text("Delete this run?")
    expect(dialog).to_contain_text("asks for too much")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    expect(panel.row(blocked)).to_be_visible()

    panel.row(others[0]).click()
    panel.row(others[1]).click(modifiers=["Control"])
    panel.row(blocked).click(modifiers=["Control"])
    panel.row(blocked).press("Delete")
    expect(dialog).to_contain_text("Delete 3 runs?")
    dialog.get_by_role("button", name="Cancel").click()

    # Many at once, from a section's title as well as from a row; what tells of it closes itself.
    panel.section("waiting").focus()
    panel.page.keyboard.press("Control+a")
    panel.page.keyboard.press("Delete")
    expect(dialog).to_contain_text("Delete 22 runs?")
    dialog.get_by_role("button", name="Delete").click()
    toast = panel.page.locator(".Toastify__toast").filter(has_text="22 of 22 runs were deleted.")
    expect(toast).to_be_visible()
    expect(toast).to_have_count(0)
    for run_id in (blocked, *others):
        expect(panel.row(run_id)).to_have_count(0)
    expect(panel.root.get_by_text("No runs. Submit a notebook")).to_be_visible()
    assert lab.call("GET", "runs")["total"] == 0


def test_a_run_that_will_not_start_is_edited_and_takes_its_own_place(panel: Panel, lab: Lab):
    page = panel.page
    blocked = submit(lab, "quick.ipynb", gpus=16, name="too big")
    row = panel.row_in("waiting", blocked)

    # There is nothing to open yet, and whoever tries is told.
    hint = page.get_by_role("alert").filter(
        has_text="“too big” has not started yet. There is nothing to open."
    )
    row.dblclick()
    expect(hint).to_be_visible()
    row.press("Enter")
    expect(hint).to_have_count(2)
    row.click(button="right")
    expect(page.get_by_role("menuitem", name="Open Notebook", exact=True)).to_be_disabled()
    page.keyboard.press("Escape")

    # What is refused stops nothing.
    panel.choose(blocked, "Edit and Submit Again…")
    dialog = page.locator(".jp-Dialog")
    expect_accessible(
        page, ".jp-Dialog-content:has(.jp-Kueue-form) .jp-Dialog-body", "JupyterLab Light"
    )
    dialog.get_by_role("textbox", name="GPUs").fill("1")
    dialog.get_by_role("textbox", name="Time limit").fill("soon")
    dialog.get_by_role("button", name="Submit again").click()
    expect(dialog.get_by_text("Enter a time, such as 30 min or 2 h")).to_be_visible()
    dialog.get_by_role("textbox", name="Time limit").fill("9999 h")
    dialog.get_by_role("button", name="Submit again").click()
    field = dialog.locator(".jp-Kueue-field").filter(has_text="Time limit")
    expect(field.locator(".jp-Kueue-error")).to_contain_text("31622400")
    assert lab.call("GET", f"runs/{blocked}")["state"] == "queued"

    dialog.get_by_role("textbox", name="Time limit").fill("90")
    expect(field.get_by_text("1 h 30 min")).to_be_visible()
    # The only one there is.
    expect(dialog.get_by_label("Environment").locator("option")).to_have_text(["Default"])
    dialog.get_by_role("textbox", name="Kernel").fill("python3")
    dialog.get_by_role("button", name="Submit again").click()
    expect(panel.row_in("finished", blocked)).to_have_attribute("data-state", "stopped")
    succeeded = panel.section("finished").locator('[data-state="succeeded"]')
    expect(succeeded).to_have_count(1)
    new = lab.call("GET", f"runs/{succeeded.get_attribute('data-run-id')}")["request"]
    assert (new["timeout_seconds"], new["kernel_name"]) == (5400, "python3")
    assert new["resources"]["gpus"] == 1


def test_the_empty_panel_leads_to_the_form(panel: Panel, lab: Lab):
    page = panel.page
    (lab.root / "reports").mkdir()
    shutil.copy(lab.root / "quick.ipynb", lab.root / "reports" / "monthly.ipynb")
    panel.root.get_by_role("button", name="Submit a notebook…").click()
    dialog = page.locator(".jp-Dialog")
    dialog.locator(".jp-DirListing-item", has_text="reports").dblclick()
    expect(dialog.locator(".jp-DirListing-item", has_text="monthly.ipynb")).to_be_visible()
    dialog.locator(".jp-BreadCrumbs-home").click()
    dialog.locator(".jp-DirListing-item", has_text="quick.ipynb").click()
    dialog.get_by_role("button", name="Select").click()
    form = Jobs(page)
    form.expect_few_formats()
    expect(form.field("Input file")).to_have_value("quick.ipynb")
    form.button("Create").click()
    expect(panel.section("finished")).to_contain_text("quick")


def test_a_schedules_runs_are_marked_and_found_by_its_name(panel: Panel, lab: Lab):
    schedule = {
        "input_path": "quick.ipynb",
        "name": "weekly report",
        "schedule": "0 9 1 1 *",
        "local_queue": "team-a",
        "resources": {**SIZE, "gpus": 16},
    }
    schedule_id = lab.call("POST", "schedules", schedule)["schedule_id"]
    scheduled = lab.call("POST", f"schedules/{schedule_id}/run")["run_id"]
    by_hand = submit(lab, "quick.ipynb", gpus=16, name="weekly report")
    expect(panel.row(by_hand)).to_be_visible()
    mark = panel.row(scheduled).locator(".jp-Kueue-schedule")
    expect(mark).to_have_attribute("title", "Run of the schedule “weekly report”")
    expect(panel.row(scheduled)).to_have_accessible_name(re.compile("Run of the schedule"))
    expect(panel.row(by_hand).locator(".jp-Kueue-schedule")).to_have_count(0)

    panel.root.get_by_role("searchbox").fill('schedule:"weekly re')
    expect(panel.row(by_hand)).to_have_count(0)
    expect(panel.row(scheduled)).to_be_visible()
    panel.root.get_by_role("searchbox").fill("")

    # Its new name is the one that is shown.
    lab.call("PATCH", f"schedules/{schedule_id}", {"name": "monthly report"})
    expect(mark).to_have_attribute("title", "Run of the schedule “monthly report”")
    for theme in THEMES:
        choose_theme(panel.page, theme)
        expect_accessible(panel.page, "#jp-kueue-panel", theme)
    choose_theme(panel.page, "JupyterLab Light")


def test_a_run_says_which_hidden_files_stayed_behind(panel: Panel, lab: Lab):
    (lab.root / ".env").write_text("TOKEN=secret")
    run_id = submit(lab, "quick.ipynb", gpus=16, include_folder=True)
    expect(panel.row(run_id)).to_contain_text(". Hidden files were not uploaded: .env.")


def test_it_goes_on_by_itself_after_the_server_was_restarted(
    page: Page, start_lab: Callable[..., Lab], namespace: Namespace
):
    lab = write_notebooks(start_lab(namespace.env))
    panel = Panel(page).open(lab)
    run_id = submit(lab, "quick.ipynb", gpus=16, name="still here")
    expect(panel.row(run_id)).to_be_visible()
    lab.wait_until_stored(page, "jp-kueue-panel")
    # Lab loads what it shows messages with when there is the first one.
    other = submit(lab, "quick.ipynb", gpus=16, name="other")
    panel.act(other, "Stop")
    expect(panel.row_in("finished", other)).to_be_visible()
    panel.act(other, "Run again")
    expect(page.get_by_role("alert").filter(has_text="“other” is queued again.")).to_be_visible()

    lab.stop()
    expect(panel.root.get_by_text("The list shows the state at that time")).to_be_visible()
    # What was said of it may not be so any more.
    expect(panel.row(run_id).locator(".jp-Kueue-why")).to_have_text(
        re.compile(r"^At \d.*: Will not start: ")
    )
    # What was not done is said, and stays until it is seen.
    panel.act(run_id, "Stop")
    toast = page.get_by_role("alert").filter(has_text="“still here” was not stopped.")
    expect(toast).to_contain_text("The Jupyter server does not answer")

    restarted = start_lab(namespace.env, port=lab.port)
    expect(panel.root.get_by_text("The list shows the state at that time")).to_have_count(0)
    expect(panel.row_in("waiting", run_id)).to_be_visible()
    expect(toast).to_be_visible()
    new = submit(restarted, "quick.ipynb", gpus=16, name="after the restart")
    expect(panel.row_in("waiting", new)).to_be_visible()

    # Open before a reload, it is open and live after it.
    panel.page.reload()
    expect(panel.row_in("waiting", new)).to_be_visible()
    restarted.call("POST", f"runs/{new}/stop")
    expect(panel.row_in("finished", new)).to_be_visible()


def test_the_narrowest_panel_cuts_nothing_off(panel: Panel, lab: Lab):
    run_id = submit(
        lab, "quick.ipynb", gpus=16, name="a name that is longer than the panel is wide"
    )
    expect(panel.row(run_id)).to_be_visible()
    # Lab itself stops at 250 px; themes may set less.
    panel.page.add_style_tag(
        content=f":root {{ --jp-sidebar-min-width: {NARROWEST}px !important }}"
    )
    # It is measured when it is shown.
    tab = panel.page.locator('.jp-SideBar .lm-TabBar-tab[data-id="jp-kueue-panel"]')
    tab.click()
    tab.click()
    expect(panel.row(run_id)).to_be_visible()
    box = panel.root.bounding_box()
    assert box is not None
    edge = box["x"] + box["width"] + 2
    panel.page.mouse.move(edge, 500)
    panel.page.mouse.down()
    panel.page.mouse.move(box["x"] + NARROWEST, 500, steps=5)
    panel.page.mouse.up()
    width = panel.root.evaluate("panel => panel.offsetWidth")
    assert width <= NARROWEST + 5
    cut_off = panel.root.evaluate("""panel => [...panel.querySelectorAll(
        '.jp-SidePanel-content, .jp-Kueue-queue, .jp-Kueue-line, .jp-Kueue-resources, .jp-Kueue-run'
    )].filter(part => part.scrollWidth > part.clientWidth).map(part => part.className)""")
    assert cut_off == []
    panel.act(run_id, "Stop")
    expect(panel.row_in("finished", run_id)).to_be_visible()


def test_it_works_where_jupyter_scheduler_is_not_installed(
    page: Page, start_lab: Callable[..., Lab], namespace: Namespace, tmp_path: Path
):
    only_ours = tmp_path / "labextensions"
    only_ours.mkdir()
    installed = Path(jupyter_core.paths.ENV_JUPYTER_PATH[0]) / "labextensions" / "jupyter-kueue"
    (only_ours / "jupyter-kueue").symlink_to(installed)
    lab = start_lab(namespace.env, f"--LabApp.labextensions_path={only_ours}")
    panel = Panel(page).open(lab)
    expect(panel.section("queues").locator('[data-queue="team-b"]')).to_be_visible()


def add_to_stock_backend(lab: Lab, runs: int, definitions: int) -> None:
    """Have jupyter-scheduler's own database hold stopped jobs, and definitions without a cron."""
    url = f"sqlite:///{lab.root.parent}/data/scheduler.sqlite"
    create_tables(url)
    of_both = {
        "input_filename": "quick.ipynb",
        "runtime_environment_name": "conda",
        "output_formats": ["ipynb"],
    }
    with create_session(url)() as rows:
        rows.add_all(StockJob(name="old", status="STOPPED", **of_both) for _ in range(runs))
        rows.add_all(JobDefinition(name="old", **of_both) for _ in range(definitions))
        rows.commit()


def test_it_tells_of_the_stock_backends_jobs_until_they_are_brought_over_or_unwanted(
    page: Page, start_lab: Callable[..., Lab], namespace: Namespace, cli: Callable[..., Any]
):
    environment = {**namespace.env, "JUPYTER_KUEUE_RESYNC_SECONDS": "1"}
    lab = start_lab(environment)
    write_notebook(lab.root, "quick.ipynb", "1")
    add_to_stock_backend(lab, runs=2, definitions=1)
    panel = Panel(page).open(lab)
    notice = panel.root.locator('[data-notice="stock-backend"]')
    expect(notice).to_contain_text("has 2 jobs and 1 job definition that you do not see here")

    data = {"JUPYTER_DATA_DIR": str(lab.root.parent / "data")}
    cli("import", "--root-dir", str(lab.root), env={**os.environ, **environment, **data})
    expect(panel.section("finished").locator(".jp-Kueue-run")).to_have_count(2)
    expect(notice).to_have_count(0)

    add_to_stock_backend(lab, runs=1, definitions=0)
    lab.wait_until_stored(page, "jp-kueue-panel")
    page.reload()
    expect(notice).to_contain_text("has 1 job that you do not see here")
    saved = "**/api/settings/jupyter-kueue**"
    with page.expect_response(saved) as response:
        notice.get_by_role("button", name="Do not show this again").click()
    assert response.value.ok
    expect(notice).to_have_count(0)
    page.reload()
    expect(panel.section("finished").locator(".jp-Kueue-run")).to_have_count(2)
    expect(notice).to_have_count(0)


async def _seed_finished_runs(namespace: Namespace, model_row: dict[str, Any], count: int) -> None:
    """Put finished runs into the bucket as far as a server reads them at its start."""
    bucket = Bucket.open(namespace.bucket_dir)
    owner_slug = Owner.of(model_row["owner"]).slug
    records, summaries = Records(bucket, owner_slug), Summaries(bucket, owner_slug)
    at_once = asyncio.Semaphore(32)
    first = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)

    async def seed(number: int) -> dict[str, Any]:
        run_id = str(uuid.uuid4())
        async with at_once:
            await records.write(run_id, pod_contract.FINAL_KEY, {"state": "succeeded"})
        ended = times.rfc3339(first + dt.timedelta(minutes=number))
        return {**model_row, "run_id": run_id, "name": f"report {number}", "finished_at": ended}

    await summaries.store(await asyncio.gather(*(seed(number) for number in range(count))))


@pytest.mark.timeout(400)  # all these runs are written first
def test_more_than_a_thousand_runs_are_listed_and_only_those_in_sight_are_drawn(
    page: Page, start_lab: Callable[..., Lab], namespace: Namespace
):
    lab = write_notebooks(start_lab(namespace.env))
    run = lab.run_to_end({"input_path": "quick.ipynb", "local_queue": "team-a", "resources": SIZE})
    row = next(item for item in lab.call("GET", "runs")["items"] if item["run_id"] == run["run_id"])
    lab.stop()
    # Playwright keeps an event loop running in this thread.
    with ThreadPoolExecutor() as thread:
        thread.submit(asyncio.run, _seed_finished_runs(namespace, row, 1200)).result()
    again = start_lab(namespace.env, port=lab.port)

    panel = Panel(page).open(again)
    finished = panel.section("finished")
    expect(finished.locator(".jp-Kueue-count")).to_have_text("1201")
    older = panel.root.get_by_role("button", name="Show older runs")
    for shown in (100, 600, 1100):
        expect(finished.locator(".jp-Kueue-run")).to_have_count(shown)
        older.click()
    expect(finished.locator(".jp-Kueue-run")).to_have_count(1201)
    expect(older).to_have_count(0)
    oldest = finished.get_by_text("report 0", exact=True)
    is_drawn = "part => part.checkVisibility({ contentVisibilityAuto: true })"
    assert not oldest.evaluate(is_drawn)
    oldest.scroll_into_view_if_needed()
    expect(oldest).to_be_in_viewport()
    new = submit(again, "quick.ipynb", gpus=16)
    expect(panel.row_in("waiting", new)).to_have_count(1)

    # What is wrong is in view however far the list is scrolled.
    oldest.scroll_into_view_if_needed()
    again.stop()
    expect(panel.root.locator('[data-notice="interruption"]')).to_be_in_viewport()
