"""Two people, a viewer, a person who is logged out, hostile names, and the DAG that the page starts."""

import pytest
from playwright.sync_api import expect

from tasks.media.label_log import append, read_log
from tasks.results.labelling import ClipStatement
from tests.labelling.in_browser import shop
from tests.labelling.in_browser.test_intervals import mark
from tests.labelling.page import MAY_LOOK, STORE, suggest

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def say(store, cuts):
    """Writes that a person labels a clip of the first video, as another process would."""

    def say(number, place=0, **changes):
        said = {"answer": "action", "verb": "put", "noun": "meat", "by": "anna", "at": "2026-01-01T00:00:00Z", **changes}
        span = {name: getattr(cuts[0].clips[place], name) for name in ("video", "uid", "start_seconds", "stop_seconds")}
        append(store, STORE, ClipStatement(token=f"00000000-{number:04}", **span, **said), number)

    return say


def test_a_second_person_reads_without_seeing_what_the_first_said_and_review_shows_the_conflict(visit, store):
    with shop.served(store, STORE, second_share=1.0) as address:
        first = visit(at=address)
        for number in range(1, 6):
            shop.press(first, "Enter")
            expect(first.locator("#done")).to_have_text(f"{number} of 120 done")
        read = read_log(store, STORE)[0].statement
        first.goto(f"{address}#intervals/{read.video}")
        mark(first, str(read.start_seconds), str(read.stop_seconds), "put meat")
        second = visit("berta", f"#intervals/{read.video}", address)
        expect(second.locator("#interval-list .note").first).to_contain_text("1 interval of others is hidden")
        expect(second.locator("#interval-list button")).to_have_count(0)
        second.locator("#to-clips").click()
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
        expect(second.locator("#review-count")).to_contain_text("4 more hidden until you have read their clips as the second person")
        first.locator("#to-review").click()
        expect(first.locator("#review-count")).to_contain_text("more hidden")
        second.goto(f"{address}#intervals/{read.video}")
        expect(second.locator("#interval-list button.item")).to_contain_text("put meat")


def test_a_label_is_changed_and_withdrawn_in_review(visit, store, say):
    say(0)
    page = visit(view="#review")
    page.get_by_role("button", name="Change put meat of kitchen_01.mp4 0:00.00").click()
    page.locator("#change input").fill("take bag")
    page.locator("#change input").press("Enter")
    expect(page.locator("#review-rows strong")).to_have_text("take bag")
    page.get_by_role("button", name="Withdraw take bag").click()
    expect(page.locator("#review-rows strong")).to_have_text("put meat")
    page.get_by_role("button", name="Withdraw put meat").click()
    expect(page.locator("#review-rows")).to_have_text("No label fits.")
    assert len(read_log(store, STORE)) == 4


def rename(page, target, name, to):
    page.get_by_role("button", name=f"Rename or merge the {target} {name}").click()
    page.locator("#rename-to").fill(to)


def test_classes_are_merged_and_taken_back(visit, say):
    say(0, noun="meats")
    page = visit(view="#classes")
    rename(page, "noun", "meats", "meat")
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


def test_a_class_is_renamed_back(visit, say):
    say(0, verb="grab")
    page = visit(view="#classes")
    for name, to, moved in (("grab", "hold", 1), ("hold", "grab", 2)):
        rename(page, "verb", name, to)
        page.locator("#rename-to").press("Enter")
        expect(page.locator("#merges")).to_contain_text(f"{name} is now {to}")
        expect(page.get_by_role("button", name=f"Rename or merge the verb {to}")).to_be_visible()
        expect(page.get_by_role("button", name=f"Rename or merge the verb {name}")).to_have_count(0)
        expect(page.locator("#class-verbs tr", has_text=to)).to_contain_text(str(moved))
        if to == "hold":
            say(2, place=1, verb="hold")
            expect(page.locator("#done")).to_have_text("1 of 120 done")
    expect(page.locator("#merges li")).to_have_count(1)


def test_a_viewer_looks_and_cannot_write(visit, store):
    page = visit(MAY_LOOK)
    expect(page.locator("#who")).to_have_text("vera (may only look)")
    expect(page.locator("#suggestions button").first).to_be_disabled()
    shop.press(page, "Enter", "n")
    expect(page.locator("#status")).to_have_text("You may look, but not label.")
    assert read_log(store, STORE) == []


def test_a_person_who_is_logged_out_keeps_the_answers_for_later(visit, store):
    page = visit()
    page.route("**/statements", lambda route: route.fulfill(status=401, json={"detail": "no"}))
    shop.press(page, "Enter")
    shop.press(page, "n")
    expect(page.locator("#banner")).to_contain_text("You are no longer logged in. 2 answers not saved yet")
    page.unroute("**/statements")
    page.reload()
    expect(page.locator("#done")).to_have_text("2 of 120 done")
    assert [entry.statement.answer for entry in read_log(store, STORE)] == ["action", "nothing"]


def test_hostile_names_are_text_everywhere(visit, store, cuts, say):
    say(0, by=HOSTILE, verb=HOSTILE, noun=HOSTILE)
    suggest(store, cuts, (("<b>put</b>", '"><script>alert(1)</script>'), ("take", HOSTILE.replace(" ", "-"))))
    page = visit()
    expect(page.locator("#suggestions button").first).to_contain_text('<b>put</b> "><script>alert(1)</script>')
    page.locator("#clip-words input").fill("<b>")
    expect(page.locator("[role=option]").first).to_contain_text("<b>put</b>")
    page.locator("#clip-words input").press("Escape")
    for view in ("intervals", "review", "classes"):
        page.locator(f"#to-{view}").click()
        expect(page.locator(f"#view-{view}")).to_contain_text("<")
    assert page.locator("main img, main script, main b, dialog img").count() == 0


def test_the_dataset_is_built_as_the_last_one_with_the_persons_own_permission(visit):
    page = visit()
    runs = [{"dag_run_id": "last", "run_type": "manual", "conf": {"store": STORE, "val_share": 0.4, "then": {"epochs": 7}}}]
    page.locator("#build-open").click()
    expect(page.locator("#build-then")).to_contain_text("default options")
    page.locator("#build .close").click()
    page.route("**/dagRuns?*state=success*", lambda route: route.fulfill(json={"dag_runs": runs}))
    page.locator("#build-open").click()
    expect(page.locator("#build-then a")).to_have_attribute("href", "/dags/build_dataset/runs/last")
    with page.expect_request(lambda request: request.method == "POST") as asked:
        page.locator("#build-start").click()
    of_page = shop.OPTIONS.model_dump(exclude={"cut"})
    assert asked.value.post_data_json == {"logical_date": None, "conf": runs[0]["conf"] | of_page}, "the clips are those on the page"
    expect(page.locator("#build-progress")).to_contain_text("The dataset is built.")
    expect(page.get_by_role("link", name="Open the run in Airflow")).to_have_attribute(
        "href", "/dags/build_dataset/runs/manual__1%2B00%3A00"
    )
