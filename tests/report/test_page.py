import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from tasks.report.inputs import ReportInputs
from tasks.report.page import SECTIONS, page
from tasks.results.dataset import NO_OBJECT, Agreement
from tasks.results.metrics import ClassChange, TwoActions
from tasks.wording import p_value, percent, percent_interval, signed

VOID = {"meta", "img", "br", "link", "input", "hr", "area", "base", "col", "embed", "source", "track", "wbr"}
FETCHING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "cite", "longdesc", "manifest", "xlink:href", "ping"}


class Tree(HTMLParser):
    """Elements with their attributes, and the faults of the markup."""

    def __init__(self, html):
        super().__init__()
        self.open, self.faults, self.elements, self.style, self.text = [], [], [], "", ""
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def of(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def cells(html):
    """The cells of the tables of scores, by target, as rows of text."""
    found = {}
    for target, table in re.findall(r'<table class="scores" data-target="(\w+)">(.*?)</table>', html, re.S):
        body = re.search(r"<tbody>(.*?)</tbody>", table, re.S).group(1)
        rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr.*?</tr>", body, re.S)]
        found[target] = [[" ".join(unescape(re.sub(r"<title>.*?</title>|<[^>]+>", " ", cell)).split()) for cell in row] for row in rows]
    return found


@pytest.fixture(
    scope="module",
    params=[
        "usual",
        "original",
        "one clip",
        "verbs alone",
        "mixed",
        pytest.param("many classes", marks=pytest.mark.slow),
        "hostile",
        "bare",
    ],
)
def case(request, make_inputs, page_of):
    html = page_of(request.param)
    return make_inputs(request.param), html, Tree(html)


def test_the_markup_is_well_formed(case):
    tree = case[2]
    assert tree.faults == []
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_fetched_from_anywhere(case):
    tree = case[2]
    for tag, attributes in tree.elements:
        for name in FETCHING & attributes.keys():
            assert attributes[name].startswith("data:"), (tag, name)
        styles = attributes.get("style") or ""
        assert "url(" not in styles
    assert not re.search(r"url\(|@import|@font-face", tree.style)
    assert {tag for tag, _ in tree.elements} & {"link", "iframe", "object", "embed", "form", "base"} == set()
    assert not [name for _, attributes in tree.elements for name in attributes if name.startswith("on")]
    assert "default-src 'none'" in case[1]


def test_the_one_script_is_the_one_that_the_policy_names(case):
    (script,) = re.findall(r"<script>(.*?)</script>", case[1], re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert case[2].of("script") == [{}]
    assert f"script-src 'sha256-{digest}'" in case[1]


def test_links_lead_to_sections_or_to_the_web(case):
    tree = case[2]
    ids = {attributes.get("id") for _, attributes in tree.elements}
    for link in tree.of("a"):
        assert link["href"][1:] in ids if link["href"].startswith("#") else link["href"].startswith(("http://", "https://"))
    assert {anchor for anchor, _ in SECTIONS} <= ids


def test_an_address_that_is_no_web_address_is_no_link(make_inputs):
    metrics = make_inputs("original").metrics
    provenance = metrics.provenance.model_copy(update={"mlflow_run_url": "javascript:alert(1)", "airflow_run": "data:text/html,x"})
    html = page(ReportInputs(metrics.model_copy(update={"provenance": provenance})))
    assert not [link for link in Tree(html).of("a") if link["href"].startswith(("javascript", "data"))]
    assert "<code>javascript:alert(1)</code>" in html


def test_names_are_text_never_markup(page_of):
    html = page_of("hostile")
    assert html.count("<script") == 1
    assert "evil.example" in html
    assert all(image["src"].startswith("data:") for image in Tree(html).of("img"))
    assert "verb {{ m }}" in html


def test_every_score_is_the_metrics_own(case):
    inputs, html, _ = case
    metrics, tables = inputs.metrics, cells(html)
    if not metrics.results:
        assert tables == {}
        return
    of_role = {r.model: r for r in metrics.results}
    for target in metrics.targets:
        rows = tables[target]
        networks = [getattr(of_role[role], target) for role in ("baseline", "champion", "fine-tuned") if role in of_role]
        for row, m in zip(rows, networks, strict=False):
            assert row[1:3] == [percent(m.top1), percent_interval(m.top1_interval)]
            assert row[4:] == [percent(share) for share in (m.top5, m.recall_macro, m.precision_macro, m.precision_weighted)]
        majority = rows[len(networks)]
        assert majority[0].startswith("always predicting ")
        assert majority[1] == percent(networks[0].majority_top1)
        differences = [d for d in metrics.differences if d.target == target]
        assert len(rows) == len(networks) + 1 + len(differences)
        for row, d in zip(rows[len(networks) + 1 :], differences, strict=True):
            assert row[:3] == [f"{d.opponent} → fine-tuned", signed(d.difference), percent_interval(d.interval)]
            assert row[4].startswith(f"McNemar {p_value(d.mcnemar_p)} · {d.num_gained:,} gained, {d.num_lost:,} lost")
            low, high = d.interval
            assert ("too small to tell" in row[4] or "not enough to tell" in row[4] or "no difference" in row[4]) == (low <= 0 <= high)


def test_a_network_no_better_than_guessing_is_marked_exactly_then(case):
    inputs, html, _ = case
    for target, rows in cells(html).items():
        for row in rows:
            role = next((r for r in inputs.metrics.results if row[0].startswith(r.model) and "→" not in row[0]), None)
            if role is not None:
                m = getattr(role, target)
                assert ("▼" in row[0] and "always predicting" in row[0]) == (m.top1 <= m.majority_top1)
    tuned = [r for r in inputs.metrics.results if r.model == "fine-tuned"]
    loses = [t for r in tuned for t in r.targets if getattr(r, t).top1 <= getattr(r, t).majority_top1]
    assert ('role="alert"' in html) == bool(loses)


def test_the_original_experiment_is_told_plainly(page_of):
    html = page_of("original")
    rows = cells(html)
    assert rows["noun"][1][0] == "fine-tuned ▼ below always predicting 'meat' (65.2 %)"
    assert rows["noun"][1][1] == "47.8 %"
    assert "nouns: 47.8 % is below always predicting &#39;meat&#39; (65.2 %)" in html
    assert "23 clips of 3 source videos" in html
    assert "2026-11-26 00:25 UTC" in html


@pytest.mark.parametrize(
    ("passed", "interval", "word"),
    [(True, (0.1, 0.4), "Passed"), (False, (0.1, 0.4), "Failed"), (False, (-0.1, 0.4), "Inconclusive")],
)
def test_the_banner_says_what_came_of_it(make_inputs, passed, interval, word):
    metrics = make_inputs("usual").metrics
    differences = tuple(d.model_copy(update={"interval": interval}) for d in metrics.differences)
    html = page(ReportInputs(metrics.model_copy(update={"passed": passed, "differences": differences})))
    banner = re.search(r'<p class="word">(.*?)</p>', html).group(1)
    assert banner.endswith(word)


def test_of_a_network_that_guessing_beats_enough_is_known(make_inputs):
    metrics = make_inputs("original").metrics
    differences = tuple(d.model_copy(update={"interval": (-0.1, 0.7)}) for d in metrics.differences)
    html = page(ReportInputs(metrics.model_copy(update={"differences": differences})))
    assert "</span> Failed</p>" in html
    assert "Inconclusive" not in html


def test_too_few_clips_for_the_gate_cannot_tell(make_inputs):
    metrics = make_inputs("usual").metrics
    rules = tuple(rule.model_copy(update={"passed": rule.rule != "num_sources"}) for rule in metrics.rules)
    assert "Inconclusive" in page(ReportInputs(metrics.model_copy(update={"passed": False, "rules": rules})))


def test_classes_that_got_worse_are_marked_and_long_lists_folded(make_inputs, page_of):
    inputs, html = make_inputs("usual"), page_of("usual")
    assert html.count("▼ worse") == sum(c.is_worse for c in inputs.metrics.class_changes)
    section = re.search(r'<section id="classes">.*?</section>', html, re.S).group()
    assert section.count("<details>") == 2
    names = [c.name for c in inputs.metrics.class_changes]
    assert all(f'<th scope="row">{name}</th>' in section for name in names)


def test_the_change_of_a_class_is_that_of_its_f1(make_inputs):
    change = ClassChange(
        target="verb",
        name="take",
        support=9,
        recall_before=0.5,
        recall_after=0.25,
        precision_before=0.625,
        precision_after=0.75,
        f1_before=0.5556,
        f1_after=0.375,
        is_worse=True,
    )
    html = page(ReportInputs(make_inputs("bare").metrics.model_copy(update={"class_changes": (change,)})))
    row = re.search(r'<tr class="worse">(.*?)</tr>', html, re.S).group(1)
    assert re.findall(r">([^<>]+)</t[hd]>", row) == [
        "take",
        "9",
        "62.5 %",
        "75.0 %",
        "50.0 %",
        "25.0 %",
        "55.6 %",
        "37.5 %",
        "-18.1",
        "▼ worse",
    ]


def test_confusion_counts_are_all_there(make_inputs, page_of):
    inputs, html = make_inputs("original"), page_of("original")
    section = re.search(r'<section id="confusion">.*?</section>', html, re.S).group()
    assert section.count('<table class="matrix') == 6
    printed = [int(n) for n in re.findall(r"<span>(\d+)</span></td>", section)]
    assert sorted(printed) == sorted(n for c in inputs.metrics.confusions for row in c.counts for n in row if n)


def test_a_clip_plays_in_the_page_or_is_named_by_its_address(make_inputs, page_of):
    inputs, html = make_inputs("usual"), page_of("usual")
    videos = Tree(html).of("video")
    assert [v["src"][:22] for v in videos] == ["data:video/mp4;base64,"] * len(inputs.clips)
    assert all(v["preload"] == "none" and "controls" in v for v in videos)
    for mistake in inputs.metrics.mistakes:
        assert (mistake.clip_uri in html) == (mistake.uid not in inputs.clips)


def test_what_the_data_checks_found_is_named(page_of):
    dirty, clean = page_of("original"), page_of("usual")
    for found in ("ZUr3DxYyTqI", "tray, move tray", "aaaaaaaaaaaa-0001", "take meat", "✗ 2 classes"):
        assert found in dirty
    assert clean.count("✓ none") == 4
    assert "No problems in 479 clips of 2 splits." in clean


def test_the_data_checks_ask_about_speech_where_somebody_listened_for_it(make_inputs):
    def shown(with_speech):
        inputs = make_inputs("usual")
        checks = inputs.metrics.checks.model_copy(update={"with_speech": with_speech})
        return page(replace(inputs, metrics=inputs.metrics.model_copy(update={"checks": checks})))

    assert "omebody speaks" not in shown(None)
    assert "Clips in which somebody speaks" in (silent := shown(()))
    assert "allowed to keep" not in silent
    spoken = shown(("a" * 12 + "-0001", "b" * 12 + "-0002"))
    assert "People speak in 2 clips: are you allowed to keep that?" in spoken
    assert "<code>aaaaaaaaaaaa-0001</code>" in spoken
    assert "No problems in 479 clips" in spoken


def test_the_data_checks_say_how_far_two_readers_agree(make_inputs, page_of):
    def shown(**found):
        inputs = make_inputs("usual")
        agreement = Agreement(**{"num_clips": 12, "num_videos": 3, "share": 0.75, "kappa": 0.5, "interval": (0.123, 0.9), **found})
        checks = inputs.metrics.checks.model_copy(update={"agreement": agreement})
        return page(replace(inputs, metrics=inputs.metrics.model_copy(update={"checks": checks})))

    assert "two readers" not in page_of("usual")
    assert "kappa 0.50 [0.12, 0.90]" in shown()
    assert "12 clips of 3 videos labelled by two people" in shown()
    assert "Cohen's kappa, 95 % interval over videos" in shown()
    assert "kappa 0.50</td>" in (alone := shown(interval=None, num_videos=2))
    assert "without an interval, which takes 3 videos" in alone
    assert "<td>100.0 %</td>" in (same := shown(kappa=None, interval=None, share=1))
    assert "cannot be told" in same


def test_the_data_checks_count_clips_with_two_actions(make_inputs, page_of):
    assert "two actions" not in page_of("usual")
    inputs = make_inputs("usual")
    two = (TwoActions(uid="a" * 12 + "-0001", action="put <b>", second_action="take bag"),)
    checks = inputs.metrics.checks.model_copy(update={"two_actions": two})
    shown = page(replace(inputs, metrics=inputs.metrics.model_copy(update={"checks": checks})))
    assert "A second action covers much of 1 clip;" in shown
    assert "<td>put &lt;b&gt;</td><td>take bag</td>" in shown
    assert "No problems in 479 clips" in shown


def test_the_data_checks_name_intervals_that_label_no_clip(make_inputs, page_of):
    assert "label no clip" not in page_of("usual")
    inputs = make_inputs("usual")
    checks = inputs.metrics.checks.model_copy(update={"without_clip": ("<x>.csv: 1 interval labels no clip: line 2",)})
    shown = page(replace(inputs, metrics=inputs.metrics.model_copy(update={"checks": checks})))
    assert "<td>in 1 file</td>" in shown
    assert "&lt;x&gt;.csv: 1 interval labels no clip: line 2." in shown
    assert "No problems in 479 clips" in shown


def test_pictures_speak_to_those_who_do_not_see_them(case):
    tree = case[2]
    for drawing in tree.of("svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing["role"] == "img" and {"aria-label", "aria-labelledby"} & drawing.keys())
    assert all(image["alt"] for image in tree.of("img"))


def test_no_number_is_missing_or_odd(case):
    assert not re.search(r"\b(nan|NaN|inf|None|Undefined)\b", case[2].text)


def test_the_same_inputs_make_the_same_page(make_inputs, page_of):
    assert page(make_inputs("usual")) == page_of("usual")


def test_what_val_leans_to_is_on_the_first_screen(page_of):
    html = page_of("original")
    assert html.index("also selected the kept epoch (or the fusion weights)") < html.index('<section id="scores">')
    assert "also selected" not in page_of("usual")


def test_seeds_are_named(page_of):
    assert "split 7, training 0, bootstrap 0 (2,000 resamples)" in page_of("usual")


def test_a_store_that_keeps_no_times_makes_no_odd_page(make_inputs):
    metrics = make_inputs("usual").metrics
    provenance = metrics.provenance.model_copy(update={"dataset_created": "None", "trained": "None"})
    text = Tree(page(ReportInputs(metrics.model_copy(update={"provenance": provenance})))).text
    assert "dataset of unknown date" in text
    assert "None" not in text


def test_a_temperature_at_the_limit_of_the_search_is_marked(make_inputs, page_of):
    metrics = make_inputs("usual").metrics
    first, *others = metrics.calibration
    html = page(ReportInputs(metrics.model_copy(update={"calibration": (first.model_copy(update={"temperature": 19.99998}), *others)})))
    assert html.count("at the limit of the search") == 1
    assert "at the limit of the search" not in page_of("usual")


def test_a_page_without_a_champion_does_not_speak_of_one(page_of):
    html = page_of("original")
    assert "none yet" in html
    assert "champion →" not in html
    assert "champion (version" not in html


def test_without_objects_the_page_shows_verbs_alone(page_of):
    html = page_of("verbs alone")
    assert list(cells(html)) == ["verb"]
    # Options are described as in the form, for datasets of either kind.
    shown = re.sub(r'<table class="settings">.*?</table>', "", html, flags=re.S)
    words = Tree(shown).text.lower()
    assert "verbs" in words
    assert not [word for word in ("noun", "action", NO_OBJECT) if word in words]


def test_among_labels_with_objects_one_without_is_its_verb(page_of):
    text = Tree(page_of("mixed")).text
    assert list(cells(page_of("mixed"))) == ["verb", "noun", "action"]
    assert "always predicting 'put meat'" in text
    assert f"put {NO_OBJECT}" not in text
    assert "put predicted as" in text or "predicted as put " in text


def test_the_calibration_error_stands_beside_what_chance_gives(page_of):
    assert '15.3 %<span class="remark">by chance 12.2 %</span>' in page_of("usual")
