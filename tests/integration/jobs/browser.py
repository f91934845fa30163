"""Drive a real Chromium that is logged in to Airflow."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.integration.jobs.whole_job import Kitchen

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 120_000
COMMENT = "Looked at the mistakes"
expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """Find the browser; without one, skip the test, or fail in CI."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        reason = "no Chromium is installed (Debian: chromium)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI requires it")
        pytest.skip(reason)
    return program


@dataclass(frozen=True)
class Browser:
    """A page, and the servers that it opens."""

    page: Page
    kitchen: Kitchen

    def airflow(self, path: str) -> None:
        """Open a page of Airflow."""
        self.page.goto(self.kitchen.addresses["airflow"] + path)

    def rest(self) -> None:
        """Leave Airflow's page, which uses most of a core during a run."""
        self.page.goto("about:blank")

    def approve(self, address: str, model: str) -> None:
        """Read the question whether to promote the first version of a model, and approve with a comment."""
        page = self.page
        page.goto(address)
        approve = page.get_by_role("button", name="Approve")
        expect(approve).to_be_visible()
        expect(page.get_by_text(f"Promote {model} version 1?").first).to_be_visible()
        expect(page.get_by_role("link", name="Read the report")).to_be_visible()
        expect(page.get_by_text(re.compile("Better on actions:.*passed")).first).to_be_visible()
        page.locator("#element_comment").fill(COMMENT)
        self.keep("approve")
        with page.expect_response(lambda response: response.request.method == "PATCH" and response.ok):
            approve.click()

    def trigger_form(self, dag_id: str) -> Locator:
        """Open the trigger form of a DAG."""
        self.airflow(f"/dags/{dag_id}")
        self.page.get_by_role("button", name="Trigger").first.click()
        form = self.page.get_by_role("dialog")
        form.get_by_text("Run Parameters").wait_for()
        return form

    def keep(self, name: str) -> None:
        """Save a screenshot as `name`.png if RETAKE_SCREENSHOTS names a folder: these are the README's pictures."""
        if folder := os.environ.get("RETAKE_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")


@contextmanager
def open_browser(kitchen: Kitchen) -> Iterator[Browser]:
    """Open a browser that is logged in to Airflow."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(kitchen.addresses["airflow"])
        page.locator("input[name=username]").fill("admin")
        page.locator("input[name=password]").fill(kitchen.airflow_password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Dags").first.wait_for()
        yield Browser(page, kitchen)
        browser.close()
