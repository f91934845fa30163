"""Clips that are cut once, and the page on a fresh store in memory for each test."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tasks.data.clips.cut_videos import SHARE_BYTES, cut_video
from tasks.data.video.child import MemoryShares
from tasks.store.records.video import ClipsFile
from tests.integration.jobs.browser import PATIENCE_MS
from tests.pages.label.in_browser import shop
from tests.pages.label.page import STORE, PageStore, list_clips, suggest
from tests.pipeline.shelf import filmed, recorded

DESK = {"width": 1280, "height": 800}
EXPECTED = re.compile(r"status of (401|403|503)|can escape its sandboxing")
"""The browser's own words about answers that a test asks for, and about the frame of Airflow."""


@pytest.fixture(scope="session")
def filled(ffmpeg, tmp_path_factory) -> tuple[PageStore, list[ClipsFile]]:
    """Three videos of 40 clips each, whose files are those of one film, with suggestions."""
    store, record = PageStore(), recorded("f" * 64)
    store.write_file(record.uri, filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", record.duration_seconds))
    cut = cut_video(store, STORE, record, shop.OPTIONS, MemoryShares(1, 4 * SHARE_BYTES))
    made = PageStore({clip.uri: store.objects[clip.uri] for clip in cut.clips})
    cuts = list_clips(made, [*made.objects], [f"kitchen_{number:02}.mp4" for number in (1, 2, 3)], 40, shop.OPTIONS)
    suggest(made, cuts)
    return made, cuts


@pytest.fixture
def cuts(filled) -> list[ClipsFile]:
    return filled[1]


@pytest.fixture
def store(filled) -> PageStore:
    """A store of the test's own."""
    return PageStore(filled[0].objects)


@pytest.fixture
def address(store) -> Iterator[str]:
    with shop.served(store, STORE, second_share=0.0) as address:
        yield address


class Visits:
    """Opens the page for people, each in a browser context of their own; keeps any word in the console."""

    def __init__(self, browser: Browser) -> None:
        self.strays = list[str]()
        self._browser = browser
        self.contexts = dict[str, BrowserContext]()

    def open(self, at: str, who: str = "anna") -> Page:
        if who not in self.contexts:
            self.contexts[who] = self._browser.new_context(viewport=DESK)
            self.contexts[who].set_default_timeout(PATIENCE_MS)
            self.contexts[who].add_cookies([{"name": "who", "value": who, "domain": "127.0.0.1", "path": "/"}])
        page = self.contexts[who].new_page()
        page.on("console", lambda message: self.strays.append(message.text) if not EXPECTED.search(message.text) else None)
        page.on("pageerror", lambda error: self.strays.append(str(error)))
        page.goto(at)
        return page

    def close(self) -> None:
        """Close all pages, and check that none wrote to the console."""
        for context in self.contexts.values():
            for page in context.pages:
                page.close()
        said, self.strays = self.strays, []
        assert said == []


@pytest.fixture(scope="module")
def visits(browser) -> Iterator[Visits]:
    """Contexts for one file; the browser keeps data by the address of the page, which is another in each test."""
    visits = Visits(browser)
    yield visits
    for context in visits.contexts.values():
        context.close()


@pytest.fixture
def visit(visits, address) -> Iterator[Callable[..., Page]]:
    yield lambda who="anna", view="", at=address: visits.open(at + view, who)
    visits.close()
