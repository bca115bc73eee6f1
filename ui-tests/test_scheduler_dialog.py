"""jupyter-scheduler's dialog and detail view with the queue's fields and a run's live state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Request

    from conftest import Namespace

    from .conftest import Lab

pytestmark = [pytest.mark.integration, pytest.mark.browser]


def is_creation(request: Request) -> bool:
    return request.method == "POST" and bool(re.search(r"/scheduler/jobs(\?|$)", request.url))


def test_its_fields_travel_with_the_job_and_its_detail_view_stops_a_queued_run(
    page: Page, start_lab: Callable[..., Lab], namespace: Namespace
):
    lab = start_lab(namespace.env)
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("print('hello')")],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        ),
        lab.root / "quick.ipynb",
    )
    page.goto(lab.page_url())
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    page.locator(".jp-DirListing-item", has_text="quick.ipynb").click(button="right")
    page.get_by_role("menuitem", name="Create Job").click()
    # What is set before the form is complete, it forgets.
    expect(page.get_by_role("checkbox", name="HTML", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="Slides", exact=True)).not_to_be_checked()
    page.get_by_role("button", name="Additional options").click()

    options = page.locator(".jp-Kueue-scheduler")
    queue = options.get_by_role("combobox")
    expect(queue.locator("option", has_text="team-a")).to_have_text(
        re.compile("team-a: free GPU 4, CPU 8")
    )
    queue.select_option("team-a")
    create = page.get_by_role("button", name="Create", exact=True)
    options.get_by_role("textbox", name="GPUs").fill("many")
    expect(options.get_by_text("A whole number, such as 1")).to_be_visible()
    expect(create).to_be_disabled()
    options.get_by_role("textbox", name="GPUs").fill("16")
    options.get_by_role("textbox", name="CPU").fill("500m")
    options.get_by_role("textbox", name="Memory").fill("1Gi")
    options.get_by_role("textbox", name="Tags").fill("weekly, sales")
    with page.expect_request(is_creation) as sent:
        create.click()
    body = sent.value.post_data_json
    assert body["runtime_environment_parameters"] == {
        "queue": "team-a",
        "gpus": "16",
        "cpu": "500m",
        "memory": "1Gi",
    }
    assert body["tags"] == ["weekly", "sales"]
    answer = sent.value.response()
    assert answer is not None
    assert answer.ok, answer.text()

    page.locator(".jp-notebook-jobs-panel").get_by_text("quick", exact=True).click()
    status = page.locator(".jp-Kueue-status")
    expect(status).to_contain_text("Waiting · queue team-a")
    expect(status).to_contain_text("Will not start: asks for 16 GPUs")
    status.get_by_role("button", name="Stop").click()
    expect(status).to_have_attribute("data-state", "stopped")
