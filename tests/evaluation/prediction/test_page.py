from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tasks.evaluation.prediction.page import environment, page
from tasks.evaluation.prediction.timeline import Guess, ShownClip, clock, drawing, spans
from tasks.evaluation.report.templating import templates
from tests.evaluation.prediction.pages import CASES, HOSTILE


class Parsed(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self.stack = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.stack.append(tag)

    def handle_endtag(self, tag):
        self.stack.pop()

    def handle_data(self, data):
        self.text.append(data)

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]


def words(html):
    return " ".join(" ".join(Parsed(html).text).split())


@pytest.mark.parametrize("case", CASES)
def test_the_page_needs_nothing_but_itself(case):
    parsed = Parsed(page(CASES[case]()))
    for tag, attrs in parsed.elements:
        assert tag not in ("link", "iframe", "object", "form", "base", "img")
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href"):
            if name in attrs:
                assert attrs[name].startswith(("data:video/mp4", "#", "http://127.0.0.1:5000/"))
    assert [tag for tag, _ in parsed.elements].count("script") == 1
    ids = parsed.ids()
    assert len(ids) == len(set(ids))
    links = {attrs["href"][1:] for tag, attrs in parsed.elements if tag == "a" and attrs["href"].startswith("#")}
    assert links <= set(ids)


def test_hostile_names_are_text():
    html = page(CASES["hostile"]())
    assert html.count("<script") == 1
    assert "<img" not in html
    text = words(html)
    assert text.count(" ".join(HOSTILE.split())) > 15
    assert "49" not in words(html.replace("0049", ""))
    assert 'href="javascript' not in html


def test_what_is_said_of_a_usual_run():
    text = words(page(CASES["usual"]()))
    for said in (
        "The two networks name the same action on 54.1 % of 74 clips of 5 videos",
        "baseline: not calibrated: no answers. Its probabilities",
        "≠ differ",
        "one frame.mp4",
        "shorter than the 2 s",
        "2 further videos, for which the page has no room",
        "s3://retake/predictions/0123/previews/1.mp4",
        "0.93 bits",
        "1:00:08\N{EN DASH}1:00:14.5",
        "300 of 1200 training clips",
        "retake-tsn version 3: calibrated on 1 crop a frame, scored here with 10.",
        "Trained on: 1 of 5 videos.",
        "Trained on: this video is in train",
        "Videos that were not trained on",
        "Videos that were trained on",
        "The first 1 of 3 clips; the page has no room for the rest",
        "pytorch float32 (PyTorch 2.13.0 on cpu) on 70 clips",
        "on 4 clips: too few clips",
        "Rows are what baseline named",
        "9 others",
    ):
        assert said in text
    assert "retake-tsn version 3: not calibrated" not in text


def test_one_network_alone_has_no_empty_sections():
    html = page(CASES["alone"]())
    text = words(html)
    assert "predicted by retake-tsn version 3 alone" in text
    assert "Missing: the baseline of retake-tsn version 3 was never fetched" in text
    assert {"agreement", "pairs", "differing", "accuracy"}.isdisjoint(Parsed(html).ids())


def test_a_clip_that_the_other_network_did_not_answer_has_a_dash():
    usual = CASES["usual"]()
    unanswered = replace(usual.videos[2], clips=tuple(replace(one, against=None) for one in usual.videos[2].clips))
    text = words(page(replace(usual, videos=(unanswered,))))
    assert "0:00\N{EN DASH}0:08" in text
    assert "% \N{EN DASH}" in text


def test_the_reports_own_templates_stay_as_they_are():
    assert "clock" in environment().filters
    assert "clock" not in templates().filters


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (8, "0:08"), (61.04, "1:01"), (3599.96, "1:00:00"), (7, "0:07"), (2.5, "0:02.5")]
)
def test_a_place_in_a_video(seconds, shown):
    assert clock(seconds) == shown


def clip(i, ours, theirs="take bag", truth=None):
    return ShownClip(str(i), 8.0 * i, 8.0 * i + 8, Guess(ours, 0.2 + 0.2 * i), Guess(theirs, 0.5) if theirs else None, truth)


def test_neighbours_of_which_the_same_is_said_are_one_span():
    found = spans([clip(0, "put meat"), clip(1, "put meat"), clip(2, "take bag"), clip(3, "put meat")])
    assert [(s.start_seconds, s.stop_seconds, s.num_clips, s.model.action, s.agrees) for s in found] == [
        (0, 16, 2, "put meat", False),
        (16, 24, 1, "take bag", True),
        (24, 32, 1, "put meat", False),
    ]
    assert found[0].model.probability == pytest.approx(0.3)


def test_each_network_and_their_differences_are_drawn_along_the_whole_video():
    drawn = drawing([clip(0, "put meat"), clip(1, "put meat"), clip(2, "take bag"), clip(3, "put meat")])
    assert [(bar.x, bar.width, bar.shown) for bar in drawn.model] == [(0, 50, "put meat"), (50, 25, "take bag"), (75, 25, "put meat")]
    assert [(bar.x, bar.width) for bar in drawn.against] == [(0, 100)]
    assert [(bar.x, bar.width, bar.spoken) for bar in drawn.differ] == [
        (0, 50, "0:00 to 0:16: they differ"),
        (75, 25, "0:24 to 0:32: they differ"),
    ]
    assert drawing([clip(0, "put meat", None)]).against == ()


def test_words_that_do_not_fit_are_left_out():
    drawn = drawing([clip(i, f"put the meat {i}") for i in range(20)])
    assert {bar.shown for bar in drawn.model} == {""}
    assert all(bar.spoken for bar in drawn.model)


def test_another_label_or_opponent_begins_a_span():
    assert len(spans([clip(0, "a", "b"), clip(1, "a", "c"), clip(2, "a", "c", "a")])) == 3
    assert len(spans([clip(0, "a", None), clip(1, "a", None)])) == 1
    assert spans([]) == drawing([]).model == ()
