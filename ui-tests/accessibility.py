"""What axe finds in a part of the page, in each of JupyterLab's themes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
AXE = Path(__file__).parents[1] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"


def choose_theme(page: Page, theme: str) -> None:
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    labels = page.locator(".lm-Menu-itemLabel")
    labels.get_by_text("Theme", exact=True).hover()
    labels.get_by_text(theme, exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)


def expect_accessible(page: Page, selector: str, theme: str) -> None:
    """Have axe look at a part of the page in the theme that it is shown in."""
    expect(page.locator(selector)).to_be_visible()
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=AXE)
    found = page.evaluate(
        "async selector => (await axe.run(selector)).violations.map(({ id, help, nodes }) =>"
        " `${id}: ${help}: ${nodes.map(node => node.html.slice(0, 200)).join()}`)",
        selector,
    )
    assert not found, f"{theme}:\n" + "\n".join(found)
