"""Two people, a viewer, a stranger, a forged request, hostile names, a server that fails."""

import json
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from tasks.media.label_log import append, read_log
from tasks.results.labelling import ClipStatement
from tests.labelling.in_browser import shop

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
HOSTILE = "<img src=x onerror=alert(1)>"


def ask(address, method="GET", body=None, who="anna", **headers):
    content = None if body is None else json.dumps(body).encode()
    cookie = {"cookie": f"who={who}"} if who else {}
    request = urllib.request.Request(address, content, {"content-type": "application/json", **cookie, **headers}, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def statement(clip, **changes):
    said = {
        "token": "00000000-0001",
        "by": "anna",
        "at": "2026-01-01T00:00:00Z",
        "answer": "action",
        "verb": "put",
        "noun": "meat",
        **changes,
    }
    return ClipStatement(video=clip.video, uid=clip.uid, start_seconds=clip.start_seconds, stop_seconds=clip.stop_seconds, **said)


def test_a_second_person_reads_without_seeing_the_first_answer_and_review_shows_the_conflict(visit, kitchen):
    with shop.served(*kitchen, second_share=1.0) as address:
        first = visit(at=address)
        for number in range(1, 6):
            shop.press(first, "Enter")
            expect(first.locator("#done")).to_have_text(f"{number} of 120 done")
        second = visit("berta", at=address)
        for number in range(9):
            shop.press(second, "n")
            expect(second.locator("#remaining")).to_contain_text(f"{number + 1} by you")
        expect(second.locator("#clip-reading")).to_be_visible()
        expect(second.locator("#suggestions button")).to_have_count(0)
        expect(second.locator("#clip-why")).to_be_empty()
        expect(second.locator("#clip-label")).to_be_hidden()
        shop.press(second, *"take bag", "Enter")
        expect(second.locator("#status")).to_contain_text("Saved take bag")
        second.locator("#to-review").click()
        expect(second.locator("#agreement")).to_contain_text("Of 1 clip read twice, 0 % have the same answer.")
        second.locator("#review-show").select_option("conflicts")
        expect(second.locator("#review-count")).to_contain_text("1 label;")
        expect(second.locator(".flag")).to_have_text("people differ")
        second.locator("#review-show").select_option("all")
        second.locator("#review-by").select_option("anna")
        expect(second.locator("#review-count")).to_have_text("1 label; 4 more hidden until you have read their clips as the second person")
        first.locator("#to-review").click()
        expect(first.locator("#review-count")).to_contain_text("more hidden")


def test_people_at_two_processes_label_different_clips(visit, kitchen, settings):
    uri = kitchen[1]
    with shop.served_apart(settings, uri) as (one, _), shop.served_apart(settings, uri) as (other, _):
        pages = []
        for who, at in (("anna", one), ("berta", other)):
            pages.append(visit(who, at=at))
            expect(pages[-1].locator("#stage[aria-busy=false]")).to_be_visible()
        for number in range(1, 13):
            for page in pages:
                shop.press(page, "n")
                expect(page.locator("#remaining")).to_contain_text(f"{number} by you")
        for page in pages:
            page.close()
    said = [(entry.statement.by, entry.statement.uid) for entry in read_log(*kitchen)]
    assert len({uid for _, uid in said}) == len(said) == 24


def test_a_label_is_changed_and_withdrawn_in_review(visit, kitchen, cut):
    append(*kitchen, statement(cut[1][0].clips[0]), 0)
    page = visit(view="#review")
    page.get_by_role("button", name="Change put meat of kitchen_01.mp4 0:00.00").click()
    page.locator("#change input").fill("take bag")
    page.locator("#change input").press("Enter")
    expect(page.locator("#review-rows strong")).to_have_text("take bag")
    page.get_by_role("button", name="Withdraw take bag").click()
    expect(page.locator("#review-rows strong")).to_have_text("put meat")
    page.get_by_role("button", name="Withdraw put meat").click()
    expect(page.locator("#review-rows")).to_have_text("No label fits.")
    assert len(read_log(*kitchen)) == 4


def test_classes_are_merged_and_taken_back(visit, kitchen, cut):
    append(*kitchen, statement(cut[1][0].clips[0], noun="meats"), 0)
    page = visit(view="#classes")
    page.get_by_role("button", name="Rename or merge the noun meats").click()
    page.locator("#rename-to").fill("meat")
    expect(page.locator("#rename-note")).to_have_text("1 clip of “meats” will count as “meat”, which exists.")
    page.locator("#rename-to").press("Enter")
    expect(page.locator("#merges")).to_contain_text("meats is now meat")
    expect(page.get_by_role("button", name="Rename or merge the noun meats")).to_have_count(0)
    page.locator("#to-clips").click()
    expect(page.locator("#stage")).to_be_focused()
    page.keyboard.type("put meats")
    expect(page.locator("[role=option]").first).to_have_text("put meatwas put meats")
    page.keyboard.press("Escape")
    page.locator("#to-classes").click()
    page.get_by_role("button", name="Take back: meats is now meat").click()
    expect(page.get_by_role("button", name="Rename or merge the noun meats")).to_have_count(1)


def test_a_class_is_renamed_back(visit, kitchen, cut):
    clips = cut[1][0].clips
    append(*kitchen, statement(clips[0], verb="grab"), 0)
    page = visit(view="#classes")
    for name, to, moved in (("grab", "hold", 1), ("hold", "grab", 2)):
        page.get_by_role("button", name=f"Rename or merge the verb {name}").click()
        page.locator("#rename-to").fill(to)
        page.locator("#rename-to").press("Enter")
        expect(page.locator("#merges")).to_contain_text(f"{name} is now {to}")
        expect(page.get_by_role("button", name=f"Rename or merge the verb {to}")).to_be_visible()
        expect(page.get_by_role("button", name=f"Rename or merge the verb {name}")).to_have_count(0)
        expect(page.locator("#class-verbs tr", has_text=to)).to_contain_text(str(moved))
        if to == "hold":
            append(*kitchen, statement(clips[1], verb="hold").model_copy(update={"token": "00000000-0009"}), 2)
            expect(page.locator("#done")).to_have_text("1 of 120 done")
    expect(page.locator("#merges li")).to_have_count(1)


def test_a_viewer_looks_and_cannot_write(visit, kitchen, address, cut):
    page = visit(shop.MAY_LOOK)
    expect(page.locator("#who")).to_have_text("vera (may only look)")
    expect(page.locator("#suggestions button").first).to_be_disabled()
    shop.press(page, "Enter", "n")
    expect(page.locator("#status")).to_have_text("You may look, but not label.")
    said = {"kind": "clip", "token": "00000000-0002", "uid": cut[1][0].clips[0].uid, "answer": "nothing"}
    assert ask(f"{address}statements", "POST", said, shop.MAY_LOOK, **{"x-retake": "label"}) == 403
    assert read_log(*kitchen) == []


@pytest.mark.parametrize(
    "path", ["", "static/label.js", "state", "queue", "review", "classes", "clips/000000000000_000000000-000001000.mp4"]
)
def test_a_stranger_sees_nothing(address, path):
    assert ask(address + path, who=None) == 401


def test_a_forged_request_writes_nothing(address, kitchen, cut):
    said = {"kind": "clip", "token": "00000000-0002", "uid": cut[1][0].clips[0].uid, "answer": "nothing"}
    assert ask(f"{address}statements", "POST", said) == 403
    assert ask(f"{address}statements", "POST", {**said, "by": "berta"}, **{"x-retake": "label"}) == 422
    assert read_log(*kitchen) == []


def test_a_person_who_is_logged_out_keeps_the_answers_for_later(visit, kitchen):
    page = visit()
    page.route("**/statements", lambda route: route.fulfill(status=401, json={"detail": "no"}))
    shop.press(page, "Enter")
    shop.press(page, "n")
    expect(page.locator("#banner")).to_contain_text("You are no longer logged in. 2 answers not saved yet")
    page.unroute("**/statements")
    page.reload()
    expect(page.locator("#done")).to_have_text("2 of 120 done")
    assert [entry.statement.answer for entry in read_log(*kitchen)] == ["action", "nothing"]


def test_answers_that_are_not_taken_are_sent_again_and_written_once(visit, kitchen):
    page, seen = visit(), list[str]()

    def lose(route):
        seen.append(route.request.post_data_json["token"])
        if len(seen) > 2:
            route.continue_()
        elif len(seen) == 2:  # the server has it, but its answer is lost
            route.fetch()
            route.fulfill(status=503, json={"detail": "the store is away"})
        else:
            route.fulfill(status=503, json={"detail": "the store is away"})

    page.route("**/statements", lose)
    shop.press(page, "n")
    expect(page.locator("#banner")).to_contain_text("1 answer not saved yet")
    expect(page.locator("#done")).to_have_text("1 of 120 done")
    expect(page.locator("#banner")).to_be_empty()
    assert len(seen) == 3
    assert [entry.statement.token for entry in read_log(*kitchen)] == [seen[0]]


def test_hostile_names_are_text_everywhere(visit, kitchen, cut, browser):
    clip = cut[1][0].clips[0]
    append(*kitchen, statement(clip, by=HOSTILE, verb=HOSTILE, noun=HOSTILE), 0)
    shop.suggest(*kitchen, cut[1], (("<b>put</b>", '"><script>alert(1)</script>'), ("take", HOSTILE.replace(" ", "-"))))
    page = visit()
    expect(page.locator("#suggestions button").first).to_contain_text('<b>put</b> "><script>alert(1)</script>')
    page.locator("#clip-words input").fill("<b>")
    expect(page.locator("[role=option]").first).to_contain_text("<b>put</b>")
    page.locator("#clip-words input").press("Escape")
    for view in ("#intervals", "#review", "#classes"):
        page.locator(f"#to-{view[1:]}").click()
        expect(page.locator(f"#view-{view[1:]}")).to_contain_text("<")
    assert page.locator("main img, main script, main b, dialog img").count() == 0


def test_the_dataset_is_built_with_the_persons_own_permission(visit):
    page = visit()
    page.locator("#build-open").click()
    expect(page.locator("#build-then")).to_contain_text("default options")
    page.locator("#build-start").click()
    expect(page.locator("#build-progress")).to_contain_text("The dataset is built.")
    expect(page.get_by_role("link", name="Open the run in Airflow")).to_have_attribute(
        "href", "/dags/build_dataset/runs/manual__1%2B00%3A00"
    )


HANDED_ON = {"val_share": 0.4, "cut": "both", "clip_seconds": 3, "head": "probe", "epochs": 7}
BY_HAND = {"val_share": 0.4, "cut": "both", "clip_seconds": 3, "then": {"head": "probe", "epochs": 7}}


@pytest.mark.parametrize("kind", ["asset_triggered", "manual"])
def test_the_next_dataset_is_built_and_trained_on_as_the_last_one_of_this_store(visit, kind):
    page = visit()
    store = page.request.get(f"{page.url}state").json()["store"]
    runs = [
        {"dag_run_id": "other", "run_type": "manual", "conf": {"store": "s3://another", "val_share": 0.1}},
        {"dag_run_id": "last", "run_type": kind, "conf": {"store": store, **BY_HAND} if kind == "manual" else {}},
        {"dag_run_id": "older", "run_type": "manual", "conf": {"store": store, "val_share": 0.2}},
    ]
    events = [{"extra": {"store": store, "params": HANDED_ON}}]
    page.route("**/dagRuns?*state=success*", lambda route: route.fulfill(json={"dag_runs": runs}))
    page.route("**/upstreamAssetEvents", lambda route: route.fulfill(json={"asset_events": events}))
    page.locator("#build-open").click()
    expect(page.locator("#build-then a")).to_have_attribute("href", "/dags/build_dataset/runs/last")
    with page.expect_request(lambda request: request.method == "POST") as asked:
        page.locator("#build-start").click()
    conf = asked.value.post_data_json["conf"]
    assert conf == {"store": store, **BY_HAND, **shop.OPTIONS.model_dump(exclude={"cut"})}, "the clips are those on the page"
