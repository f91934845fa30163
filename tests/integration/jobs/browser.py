"""Drive a real Chromium that is logged in to Airflow."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.integration.jobs.whole_job import Kitchen

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """Find the browser; without one, skip the test, or fail in CI."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        reason = "no Chromium is installed (Debian: chromium)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI requires it")
        pytest.skip(reason)
    return found


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

    def run_path(self, dag_id: str) -> str:
        """Return the path of the DAG's latest run."""
        return f"/dags/{dag_id}/runs/{self.kitchen.runs(dag_id)[0]['dag_run_id']}"

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
