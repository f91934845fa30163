"""Start a store with clips once, and open the page on a fresh log for each test."""

import hashlib
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tasks.local import supervise
from tasks.local.home import REPOSITORY, Credentials
from tasks.local.servers import store_settings
from tasks.results.video import ClipsFile
from tasks.settings import StoreSettings
from tasks.store.objects import Store
from tests.integration.conftest import own_home
from tests.labelling.in_browser import shop
from tests.ports import port_offset

PORT_OFFSET = port_offset(1200)
DESK = {"width": 1280, "height": 800}
PATIENCE_MS = 20_000
EXPECTED = re.compile(r"status of (401|403|503)|can escape its sandboxing")
"""The browser's own words about answers that a test asks for, and about the frame of Airflow."""


@pytest.fixture(scope="session")
def settings(tmp_path_factory) -> Iterator[StoreSettings]:
    with own_home(tmp_path_factory.mktemp("labelling"), PORT_OFFSET) as home:
        home.make()
        [server] = supervise.up(home, lambda _: None, ("store",))
        yield store_settings(Credentials.load(home), {"store": server.ports})


@pytest.fixture(scope="session")
def cut(settings) -> tuple[Store, list[ClipsFile]]:
    """Cut three films into 40 clips each, in a bucket that tests copy the lists of."""
    store = Store.from_settings(settings)
    store.ensure_bucket("s3://labelling")
    samples = REPOSITORY / "tasks" / "local" / "samples"
    films = [(samples / f"kitchen_{number:02d}.mp4", f"kitchen_{number:02d}.mp4") for number in (1, 2, 3)]
    return store, shop.cut(store, "s3://labelling/all", films)


@pytest.fixture
def kitchen(cut, request) -> tuple[Store, str]:
    """Copy the clips into a store of the test's own, with suggestions."""
    store, cuts = cut
    uri = f"s3://labelling/{hashlib.sha256(request.node.name.encode()).hexdigest()}"
    shop.copy(store, "s3://labelling/all", uri)
    shop.suggest(store, uri, cuts)
    return store, uri


@pytest.fixture
def address(kitchen) -> Iterator[str]:
    with shop.served(*kitchen, second_share=0.0) as address:
        yield address


@pytest.fixture
def visit(browser, address) -> Iterator[Callable[..., Page]]:
    """Opens the page for a person; fails on any word in the console."""
    strays, contexts = list[str](), []

    def visit(who: str = "anna", view: str = "", at: str = address, **options) -> Page:
        context = browser.new_context(viewport=options.pop("viewport", DESK), **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": "who", "value": who, "domain": "127.0.0.1", "path": "/"}])
        page = context.new_page()
        page.on("console", lambda message: strays.append(message.text) if not EXPECTED.search(message.text) else None)
        page.on("pageerror", lambda error: strays.append(str(error)))
        page.goto(at + view)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert strays == []
