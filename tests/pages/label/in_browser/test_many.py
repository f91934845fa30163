"""Twenty thousand clips: how fast the page is, how little it is sent, and that its memory does not grow with each answer."""

import os
import subprocess
import sys

import psutil
import pytest
from playwright.sync_api import expect

from tasks.local import supervise
from tasks.local.home_folder import REPOSITORY, Credentials
from tasks.local.servers import store_settings
from tasks.store.objects import Store
from tests.integration.conftest import own_home
from tests.pages.label.in_browser.shop import READY
from tests.pages.label.in_browser.test_labelling import BEHIND, COUNT
from tests.pages.label.in_browser.test_looks import FIRST, NEXT
from tests.pages.label.page import write_many
from tests.ports import port_offset

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.long]
MANY = "s3://labelling/many"
NUM_BEFORE, NUM_ANSWERS = 20, 60


@pytest.fixture
def server(filled, tmp_path):
    """The page of a real store with very many clips, in a process of its own: its first line is its port."""
    with own_home(tmp_path, port_offset(1200)) as home:
        home.make()
        [of_store] = supervise.up(home, lambda _: None, ("store",))
        settings = store_settings(Credentials.load(home), {"store": of_store.ports})
        store, films = Store.from_settings(settings), {clip.uri: filled[0].objects[clip.uri] for clip in filled[1][0].clips}
        for uri in ("s3://labelling", "s3://retake"):
            store.ensure_bucket(uri)
        for uri, film in films.items():
            store.write_bytes(uri, film)
        write_many(store, [*films], MANY)
        environment = {
            **os.environ,
            "RETAKE_STORE_ENDPOINT": settings.endpoint,
            "RETAKE_STORE_ACCESS_KEY": settings.access_key.get_secret_value(),
            "RETAKE_STORE_SECRET_KEY": settings.secret_key.get_secret_value(),
        }
        command = [sys.executable, "-m", "tests.pages.label.in_browser.shop", MANY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY) as process:
            yield process
            process.terminate()


class Memory:
    """The memory of the page and of its server."""

    def __init__(self, page, pid: int) -> None:
        cdp = page.context.new_cdp_session(page)
        cdp.send("HeapProfiler.collectGarbage")
        cdp.send("Performance.enable")
        metrics = {metric["name"]: metric["value"] for metric in cdp.send("Performance.getMetrics")["metrics"]}
        cdp.detach()
        self.heap_bytes, self.num_nodes = metrics["JSHeapUsedSize"], metrics["Nodes"]
        self.num_addresses = page.evaluate("numAddresses")
        self.server_bytes = psutil.Process(pid).memory_info().rss

    def __repr__(self) -> str:
        return str(vars(self))


def answer(page, number: int) -> list[float]:
    """Answer clips, and return the milliseconds to the next clip's first frame."""
    times = []
    for _ in range(number):
        page.locator(READY).wait_for()
        expect(page.locator(BEHIND)).to_have_js_property("readyState", 4)
        times.append(page.evaluate(NEXT))
    return times


def test_twenty_thousand_clips_are_quick_and_their_memory_is_bounded(visit, server):
    page, sizes = visit(at="about:blank"), dict[str, int]()
    page.on("response", lambda response: sizes.update({response.url: int(response.headers.get("content-length", 0))}))
    page.add_init_script(COUNT)
    page.goto(f"http://127.0.0.1:{int(server.stdout.readline())}/retake/label/")
    cold = page.evaluate(FIRST)
    page.reload()
    warm = page.evaluate(FIRST)
    expect(page.locator("#done")).to_have_text("5,000 of 20,000 done")
    told = {url.rpartition("/")[2].partition("?")[0]: size for url, size in sizes.items() if ".mp4" not in url and "static" not in url}
    answer(page, NUM_BEFORE)
    before = Memory(page, server.pid)
    times = sorted(answer(page, NUM_ANSWERS))
    after = Memory(page, server.pid)
    page.close()
    figures = f"cold {cold:.0f} ms, warm {warm:.0f} ms, next {times[NUM_ANSWERS // 2]:.0f} ms; sent {told}; {before}; {after}"
    # A machine that runs other tests beside is slower: 1 s and 200 ms are the limits of one that does not.
    assert cold < 12_000, figures
    assert warm < 3000, figures
    assert times[NUM_ANSWERS // 2] < 200, figures
    assert {"state", "classes", "queue"} <= told.keys(), figures
    assert max(told.values()) < 100_000, figures
    assert after.num_addresses <= 9, figures
    assert after.num_nodes < before.num_nodes + 500, figures
    assert after.heap_bytes < before.heap_bytes + 1_000_000, figures
    assert after.server_bytes < before.server_bytes + 30_000_000, figures
