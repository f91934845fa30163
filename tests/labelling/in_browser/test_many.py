"""Twenty thousand clips: how fast the page is, how little it is sent, and that its memory does not grow with each answer."""

import psutil
import pytest
from playwright.sync_api import expect

from tests.labelling.in_browser import many, shop
from tests.labelling.in_browser.test_looks import FIRST, NEXT, READY

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
NUM_VIDEOS, NUM_CLIPS, NUM_LABELS = 250, 80, 5000
NUM_BEFORE, NUM_ANSWERS = 20, 60
COUNT_ADDRESSES = """
  window.numAddresses = 0;
  const [make, free] = [URL.createObjectURL, URL.revokeObjectURL];
  URL.createObjectURL = (blob) => { window.numAddresses += 1; return make.call(URL, blob); };
  URL.revokeObjectURL = (url) => { window.numAddresses -= 1; free.call(URL, url); };"""


class Memory:
    """What the page and its server hold."""

    def __init__(self, page, pid: int) -> None:
        cdp = page.context.new_cdp_session(page)
        cdp.send("HeapProfiler.collectGarbage")
        cdp.send("Performance.enable")
        metrics = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
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
        expect(page.locator("#clip-screen video.behind")).to_have_js_property("readyState", 4)
        times.append(page.evaluate(NEXT))
    return times


def test_twenty_thousand_clips_are_quick_and_their_memory_is_bounded(visit, cut, settings):
    store, cuts = cut
    uri = "s3://labelling/many"
    many.write(store, uri, cuts[0], NUM_VIDEOS, NUM_CLIPS, NUM_LABELS)
    with shop.served_apart(settings, uri) as (address, pid):
        page = visit(at="about:blank", view="")
        sizes = dict[str, int]()
        page.on("response", lambda found: sizes.update({found.url: int(found.headers.get("content-length", 0))}))
        page.add_init_script(COUNT_ADDRESSES)
        page.goto(address)
        cold = page.evaluate(FIRST)
        page.reload()
        warm = page.evaluate(FIRST)
        expect(page.locator("#done")).to_have_text("5,000 of 20,000 done")
        told = {url.rpartition("/")[2].partition("?")[0]: size for url, size in sizes.items() if ".mp4" not in url and "static" not in url}
        answer(page, NUM_BEFORE)
        before = Memory(page, pid)
        times = sorted(answer(page, NUM_ANSWERS))
        after = Memory(page, pid)
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
