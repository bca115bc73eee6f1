"""jupyter-scheduler's own dialog, lists and detail views, unchanged, with runs in the cluster.

The queue's fields and a run's live state are put into them, where upstream has a place for them.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from jupyter_kueue.storage.bucket import Bucket
from tests.support.notebooks import write_notebook
from tests.support.polling import until

from .accessibility import THEMES, choose_theme, expect_accessible
from .test_lab import open_lab, watch_console

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page, Request

    from conftest import LocalCluster, Namespace

    from .conftest import Lab

pytestmark = [pytest.mark.integration, pytest.mark.browser]

FINISHED = {"succeeded", "failed", "stopped"}


class Jobs:
    """Upstream's tab in a page, by what a user sees of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".jp-notebook-jobs-panel")

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def row(self, name: str) -> Locator:
        return self.root.get_by_role("row").filter(has_text=name)

    def field(self, label: str) -> Locator:
        return self.root.get_by_label(label, exact=True)

    def shown(self, label: str) -> Locator:
        """Return one of the values of a detail view."""
        of_label = f'div:has(> .jp-jobs-LabeledValue-label:text-is("{label}"))'
        return self.root.locator(of_label).locator(".jp-jobs-LabeledValue-value")

    def begin(self, *path: str) -> None:
        """Open the form for a notebook, by the file browser's menu."""
        *folders, notebook = path
        for folder in folders:
            self.page.locator(".jp-DirListing-item", has_text=folder).dblclick()
        self.page.locator(".jp-DirListing-item", has_text=notebook).click(button="right")
        self.page.get_by_role("menuitem", name="Create Job").click()
        self.expect_few_formats()

    def expect_few_formats(self) -> None:
        """Wait until the form is complete: what is typed before that, it forgets.

        It ticks every format that there is, which is more than anybody wants by default.
        """
        for label, is_ticked in (("Notebook", True), ("HTML", True), ("Slides", False)):
            box = self.root.get_by_role("checkbox", name=label, exact=True)
            expect(box).to_be_checked(checked=is_ticked)

    def set_parameter(self, number: int, name: str, value: str) -> None:
        self.root.get_by_role("button", name="Add new parameter").click()
        self.root.locator(f'input[name="parameter-{number}-name"]').fill(name)
        field = self.root.locator(f'input[name="parameter-{number}-value"]')
        field.fill(value)
        field.blur()  # what was wrong before goes away now, and moves all that is below

    def choose(self, picker: str, option: str) -> None:
        """Choose from one of the form's lists, by the element's id."""
        self.root.locator(f"#{picker}").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def show_definition(self, name: str) -> None:
        """Go from the list of jobs to a definition's detail view."""
        self.root.get_by_role("tab", name="Job Definitions").click()
        self.row(name).get_by_text(name).click()

    def confirm(self, button: str, question: str, answer: str) -> None:
        """Press a button of a detail view, which asks back."""
        self.button(button).click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(question)
        dialog.get_by_role("button", name=answer, exact=True).click()
        expect(dialog).to_have_count(0)

    def activate(self) -> Jobs:
        """Bring the tab to the front again."""
        self.page.locator("#jp-main-dock-panel .lm-TabBar-tabLabel", has_text="Jobs").click()
        return self


def job_named(lab: Lab, name: str, *states: str) -> Any:
    """Return the newest job of a name, once it is in one of the states."""

    def find() -> Any:
        listed = lab.call("GET", "runs?sort=-created_at")["items"]
        return next((job for job in listed if job["name"] == name and job["state"] in states), None)

    return until(find)


def keys_of(namespace: Namespace, text: str) -> list[str]:
    """Return the keys in the bucket that name something, without tombstones."""

    async def listed() -> list[str]:
        found = await Bucket.open(namespace.bucket_dir).list()
        return [item.key for item in found if text in item.key and "deleted" not in item.key]

    # Playwright keeps an event loop running in this thread.
    with ThreadPoolExecutor() as thread:
        return thread.submit(asyncio.run, listed()).result()


def expect_idle(notebook: Locator) -> None:
    """Wait until an opened notebook is ready, its kernel too."""
    expect(notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_visible()


def is_ours(text: str) -> bool:
    return "kueue" in text.lower()


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    lab = shared_lab
    write_notebook(
        lab.root,
        "weekly.ipynb",
        "print(f'{region}: {weeks + 1} weeks')\nopen('sales.csv', 'w').write('made by the run')",
        parameters="region, weeks = 'none', 0",
    )
    write_notebook(lab.root, "endless.ipynb", "import time; time.sleep(3600)")
    for name in ("daily", "newer"):
        write_notebook(
            lab.root,
            f"reports/{name}.ipynb",
            f"import time; print('{name}', region); time.sleep(seconds)",
            parameters="region, seconds = 'none', 0",
        )
    return lab


def test_a_job_from_the_notebooks_toolbar_to_its_files_and_its_deletion(
    page: Page, lab: Lab, lab_namespace: Namespace, local_cluster: LocalCluster
):
    errors = watch_console(page)
    open_lab(page, lab, "weekly.ipynb")
    expect_idle(page.locator(".jp-NotebookPanel"))
    # The button takes the file that is selected beside the notebook, and Lab selects it late.
    expect(page.locator(".jp-DirListing-item.jp-mod-selected")).to_contain_text("weekly.ipynb")
    page.get_by_role("button", name="Create a job").click()
    jobs = Jobs(page)
    jobs.expect_few_formats()
    jobs.field("Job name").fill("weekly report")
    jobs.root.get_by_role("checkbox", name="Markdown", exact=True).check()
    jobs.choose("jp-create-job-computeType", "small")
    jobs.set_parameter(0, "region", "north")
    jobs.set_parameter(1, "weeks", "7")
    jobs.root.get_by_role("button", name="Additional options").click()
    jobs.root.get_by_role("textbox", name="Tags").fill("sales, weekly")
    jobs.button("Create").click()
    expect(jobs.root.get_by_text('Your job "weekly report" has been created')).to_be_visible()
    expect(jobs.row("weekly report")).to_contain_text("weekly.ipynb")

    job_id = job_named(lab, "weekly report", *FINISHED)["run_id"]
    folder = lab.root / "jobs" / f"weekly-{job_id}"
    until((folder / "weekly.ipynb").exists)
    jobs.button("Reload").click()
    row = jobs.row("weekly report")
    expect(row).to_contain_text("Completed")
    for link in ("Notebook", "HTML", "Markdown", "Files"):
        expect(row.get_by_role("link", name=link, exact=True)).to_be_visible()
    assert (folder / "sales.csv").read_text() == "made by the run"
    row.get_by_role("link", name="Notebook", exact=True).click()
    executed = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(executed.get_by_text("north: 8 weeks", exact=True)).to_be_visible()
    expect_idle(executed)

    # What was made travels with the job: with its local copy lost, the button fetches it again. Of
    # a file that is open Lab would say so, in front of everything.
    for file in folder.iterdir():
        is_open = file.suffix == ".ipynb" and file.stem != "weekly"
        if file.is_file() and not is_open:
            file.unlink()
    jobs.activate().row("weekly report").get_by_text("weekly report").click()
    expect(jobs.shown("Status")).to_have_text("Completed")
    expect(jobs.shown("Job ID")).to_have_text(job_id)
    expect(jobs.root.locator(".jp-Kueue-status")).to_contain_text("Succeeded")
    expect(jobs.root.locator(".jp-Kueue-asked")).to_contain_text("sales, weekly")
    jobs.button("Download Job Files").click()
    until(lambda: (folder / "weekly.ipynb").exists() and (folder / "sales.csv").exists())
    # Upstream looks again five seconds later.
    expect(jobs.button("Download Job Files")).to_have_count(0)

    jobs.confirm("Delete Job", "Are you sure that you want to delete this job?", "Delete")
    expect(jobs.root.get_by_text("There are no jobs.")).to_be_visible()
    until(lambda: not keys_of(lab_namespace, job_id))
    assert local_cluster.get("jobs", "-n", lab_namespace.name)["items"] == []
    assert (folder / "sales.csv").exists()
    assert not [text for text in errors if is_ours(text)]


def test_a_running_job_is_stopped_and_a_result_of_the_panel_starts_no_kernel(
    page: Page, lab: Lab, lab_namespace: Namespace, local_cluster: LocalCluster
):
    errors = watch_console(page)
    open_lab(page, lab)
    jobs = Jobs(page)
    jobs.begin("endless.ipynb")
    jobs.button("Create").click()
    job_id = job_named(lab, "endless", "running")["run_id"]
    jobs.button("Reload").click()
    row = jobs.row("endless")
    expect(row).to_contain_text("In progress")
    row.get_by_title('Stop "endless"').click()
    row.get_by_role("button", name="Stop", exact=True).click()
    expect(row).to_contain_text("Stopping")
    job_named(lab, "endless", "stopped")
    jobs.button("Reload").click()
    expect(jobs.row("endless")).to_contain_text("Stopped")

    # The panel's results are opened in place. Lab opens them again after a reload, by itself.
    page.locator('.jp-SideBar .lm-TabBar-tab[data-id="jp-kueue-panel"]').click()
    # Among the finished ones: what it knew when the form was open is shown until it has read anew.
    finished = page.locator('#jp-kueue-panel [data-section="finished"]')
    finished.locator(f'[data-run-id="{job_id}"]').dblclick()
    result = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(result.get_by_text("No Kernel")).to_be_visible()
    lab.wait_until_stored(page, f"notebook:kueue:{job_id}/endless.ipynb")
    page.reload()
    expect(result.locator(".cm-line", has_text="time.sleep(3600)")).to_be_visible()
    expect(result.get_by_text("No Kernel")).to_be_visible()
    sessions = page.request.get(f"{lab.url}api/sessions")
    assert sessions.json() == []

    row = jobs.activate().row("endless")
    row.get_by_title('Delete "endless"').click()
    row.get_by_role("button", name="Delete", exact=True).click()
    expect(jobs.row("endless")).to_have_count(0)
    until(lambda: not keys_of(lab_namespace, job_id))
    assert local_cluster.get("jobs", "-n", lab_namespace.name)["items"] == []
    assert not [text for text in errors if is_ours(text)]


def test_a_definition_from_the_form_to_its_deletion_with_its_jobs(
    page: Page, lab: Lab, lab_namespace: Namespace, local_cluster: LocalCluster
):
    def cron_job() -> Any:
        [only] = local_cluster.get("cronjobs", "-n", lab_namespace.name)["items"]
        return only["spec"]

    errors = watch_console(page)
    open_lab(page, lab)
    jobs = Jobs(page)
    _define(jobs)
    assert cron_job()["schedule"] == "0 9 * * 1-5"
    _pause_and_resume(jobs, cron_job)
    _edit_what_the_form_lacks(jobs, lab)
    _edit(jobs)
    assert (cron_job()["schedule"], cron_job()["suspend"]) == ("30 7 * * *", True)

    _run_now(jobs, region="south", seconds="0")
    done = job_named(lab, "daily report", *FINISHED)["run_id"]
    folder = lab.root / "jobs" / f"newer-{done}"
    # One after the other.
    until(lambda: (folder / "newer.ipynb").exists() and list(folder.glob("newer-*.ipynb")))
    [executed] = folder.glob("newer-*.ipynb")
    assert "newer south" in executed.read_text()
    jobs.show_definition("daily report")
    expect(jobs.row("daily report")).to_contain_text("Completed")
    _run_now(jobs, region="west", seconds="3600")
    running = job_named(lab, "daily report", "running")["run_id"]

    jobs.show_definition("daily report")
    details = jobs.root.locator(".jp-Kueue-scheduler")
    expect(details).to_contain_text(
        "Deleting this definition also deletes its 2 runs and their results."
    )
    question = "Are you sure that you want to delete this job definition?"
    jobs.confirm("Delete Job Definition", question, "Delete")
    expect(jobs.root.get_by_text("There are no job definitions.")).to_be_visible()
    jobs.root.get_by_role("tab", name="Jobs", exact=True).click()
    expect(jobs.root.get_by_text("There are no jobs.")).to_be_visible()
    until(lambda: not keys_of(lab_namespace, done) and not keys_of(lab_namespace, running))
    for kind in ("cronjobs", "jobs"):
        assert local_cluster.get(kind, "-n", lab_namespace.name)["items"] == []
    assert executed.exists()
    assert not [text for text in errors if is_ours(text)]


def _define(jobs: Jobs) -> None:
    jobs.begin("reports", "daily.ipynb")
    jobs.field("Job name").fill("daily report")
    jobs.set_parameter(0, "region", "north")
    jobs.set_parameter(1, "seconds", "0")
    jobs.root.get_by_role("radio", name="Run on a schedule").check()
    jobs.choose("jp-create-job-createType-definition-interval", "Custom schedule")
    jobs.field("cron expression").fill("0 9 * * 1-5")
    jobs.button("Create").click()
    expect(jobs.root.get_by_text('Your job definition "daily report"')).to_be_visible()
    expect(jobs.row("daily report")).to_contain_text("At 09:00 AM, Monday through Friday")
    expect(jobs.row("daily report")).to_contain_text("Active")


def _pause_and_resume(jobs: Jobs, cron_job: Callable[[], Any]) -> None:
    """From the list and from the detail view, which is shown at the end; it stays paused."""
    jobs.row("daily report").get_by_title('Pause "daily report"').click()
    expect(jobs.row("daily report")).to_contain_text("Paused")
    assert cron_job()["suspend"]
    jobs.row("daily report").get_by_text("daily report").click()
    expect(jobs.shown("Schedule")).to_have_text("0 9 * * 1-5")
    expect(jobs.root.get_by_text("No jobs associated with this job definition.")).to_be_visible()
    jobs.button("Resume").click()
    expect(jobs.shown("Status")).to_have_text("Active")
    assert not cron_job()["suspend"]
    jobs.button("Pause").click()
    expect(jobs.shown("Status")).to_have_text("Paused")


def _edit_what_the_form_lacks(jobs: Jobs, lab: Lab) -> None:
    """From the detail view of the paused definition."""
    details = jobs.root.locator(".jp-Kueue-scheduler")
    expect(details).to_contain_text("Paused: no next run.")
    details.get_by_role("button", name="Edit queue, size and parameters…").click()
    dialog = jobs.page.locator(".jp-Dialog")
    dialog.get_by_label("Queue").select_option("team-b")
    dialog.get_by_label("Compute type").select_option("")
    dialog.get_by_role("textbox", name="Memory").fill("300 MB")
    dialog.get_by_role("textbox", name="Value of parameter 1").fill("east")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)

    def changed() -> Any:
        [schedule] = lab.call("GET", "schedules")["items"]
        return schedule["request"]["local_queue"] == "team-b" and schedule["request"]

    request = until(changed)
    assert (request["profile"], request["resources"]["memory"]) == (None, "300M")
    assert request["parameters"] == {"region": "east", "seconds": 0}
    jobs.button("Resume").click()
    expect(details).to_contain_text("Next run: ")
    jobs.button("Pause").click()
    expect(details).to_contain_text("Paused: no next run.")


def _edit(jobs: Jobs) -> None:
    # The form names the notebook without its folder; it stays the one that was taken.
    jobs.button("Edit Job Definition").click()
    jobs.field("cron expression").fill("30 7 * * *")
    jobs.button("Save Changes").click()
    expect(jobs.shown("Schedule")).to_have_text("30 7 * * *")
    expect(jobs.shown("Status")).to_have_text("Paused")
    expect(jobs.shown("Input file")).to_have_text("daily.ipynb")

    jobs.button("Edit Job Definition").click()
    snapshot = jobs.root.locator(".jp-input-file-snapshot")
    jobs.page.locator(".jp-DirListing-item", has_text="newer.ipynb").drag_to(snapshot)
    expect(snapshot).to_have_value("reports/newer.ipynb")
    jobs.button("Save Changes").click()
    expect(jobs.shown("Input file")).to_have_text("newer.ipynb")


def _run_now(jobs: Jobs, **parameters: str) -> None:
    """Called with a definition's detail view, whose parameters are those of the form."""
    jobs.button("Run Job").click()
    for number, value in enumerate(parameters.values()):
        jobs.root.locator(f'input[name="parameter-{number}-value"]').fill(value)
    jobs.button("Create").click()
    expect(jobs.root.get_by_text('Your job "daily report" has been created')).to_be_visible()


def is_creation(request: Request) -> bool:
    return request.method == "POST" and bool(re.search(r"/scheduler/jobs(\?|$)", request.url))


def test_a_refused_notebook_is_said_in_view_in_the_words_of_the_form(page: Page, lab: Lab):
    (lab.root / "damaged.ipynb").write_text("no notebook")
    open_lab(page, lab)
    Jobs(page).begin("damaged.ipynb")
    page.set_viewport_size({"width": 1280, "height": 500})
    page.get_by_role("button", name="Create", exact=True).click()

    alert = page.get_by_role("alert").filter(has_text="Input file: ")
    expect(alert).to_be_in_viewport()
    expect(page.locator(".jp-Kueue-scheduler")).not_to_be_visible()


def test_its_fields_travel_with_the_job_and_its_detail_view_stops_a_queued_run(
    page: Page, lab: Lab
):
    open_lab(page, lab)
    Jobs(page).begin("weekly.ipynb")
    page.get_by_role("button", name="Additional options").click()

    options = page.locator(".jp-Kueue-scheduler")
    queue = options.get_by_role("combobox")
    # Each queue once, the default one first, with what is free in it.
    expect(queue.locator("option")).to_have_text(
        [
            re.compile(r"^team-a \(default\) — 4 GPUs, 8 CPUs, .* GiB free$"),
            re.compile("^team-b — 4 GPUs, 8 CPUs, .* GiB free$"),
        ]
    )
    queue.select_option("team-b")
    create = page.get_by_role("button", name="Create", exact=True)
    options.get_by_role("textbox", name="GPUs").fill("many")
    expect(options.get_by_text("Enter a whole number, such as 1")).to_be_visible()
    expect(create).to_be_disabled()
    expect(options.get_by_text("Compute type Small: 1 CPU, 2 GiB of memory")).to_be_visible()

    # What the server refuses is said at its field, with the options open again.
    options.get_by_role("textbox", name="GPUs").fill("20000")
    page.get_by_role("button", name="Additional options").click()
    expect(options).not_to_be_visible()
    create.click()
    # The queues' entries speak of GPUs too.
    gpus = options.locator(".jp-Kueue-field").filter(has=page.locator("input[name=gpus]"))
    refused = gpus.locator(".jp-Kueue-error")
    expect(refused).to_contain_text("1024")
    expect(refused).to_be_in_viewport()
    # The form's own line calls the field as the form does.
    expect(page.get_by_role("alert").filter(has_text="GPUs: ")).to_be_visible()
    for theme in THEMES:
        choose_theme(page, theme)
        expect_accessible(page, ".jp-Kueue-scheduler", theme)
    choose_theme(page, "JupyterLab Light")

    options.get_by_role("textbox", name="GPUs").fill("16")
    expect(refused).to_have_count(0)
    options.get_by_role("textbox", name="CPU").fill("0.5")
    options.get_by_role("textbox", name="Memory").fill("1 GiB")
    _a_time_limit_and_a_kernel(page)
    options.get_by_role("textbox", name="Tags").fill("weekly, sales")
    with page.expect_request(is_creation) as sent:
        create.click()
    body = sent.value.post_data_json
    assert body["runtime_environment_parameters"] == {
        "queue": "team-b",
        "gpus": "16",
        "cpu": "500m",
        "memory": "1Gi",
        "timeout": "5400",
        "kernel": "python3",
    }
    assert body["tags"] == ["weekly", "sales"]
    answer = sent.value.response()
    assert answer is not None
    assert answer.ok, answer.text()

    page.locator(".jp-notebook-jobs-panel").get_by_text("weekly", exact=True).click()
    status = page.locator(".jp-Kueue-status")
    expect(status).to_contain_text("Waiting · queue team-b")
    expect(status).to_contain_text("this run asks for 16 GPUs")
    expect(options).to_contain_text("1 h 30 min")
    # The two views of the job say the same, without anybody's doing.
    expect(Jobs(page).shown("Status")).to_have_text("Queued")
    expect_accessible(page, ".jp-Kueue-scheduler", "JupyterLab Light")
    status.get_by_role("button", name="Stop").click()
    expect(status).to_have_attribute("data-state", "stopped")
    expect(Jobs(page).shown("Status")).to_have_text("Stopped")


def _a_time_limit_and_a_kernel(page: Page) -> None:
    """Called with the form's options open; what is refused is said at its field."""
    options = page.locator(".jp-Kueue-scheduler")
    create = page.get_by_role("button", name="Create", exact=True)
    options.get_by_role("textbox", name="Time limit").fill("soon")
    expect(options.get_by_text("Enter a time, such as 30 min or 2 h")).to_be_visible()
    expect(create).to_be_disabled()
    options.get_by_role("textbox", name="Time limit").fill("9999 h")
    create.click()
    too_long = options.locator(".jp-Kueue-field").filter(has_text="Time limit")
    expect(too_long.locator(".jp-Kueue-error")).to_contain_text("31622400")
    expect(page.get_by_role("alert").filter(has_text="Time limit: ")).to_be_visible()
    options.get_by_role("textbox", name="Time limit").fill("1 h 30 min")
    options.get_by_role("textbox", name="Kernel").fill("python3")
