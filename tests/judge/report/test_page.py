import re
from dataclasses import replace

import numpy as np
import pytest

from tasks.judge.gate.verdict import facts_of
from tasks.judge.report.class_tables import matrix_between
from tasks.judge.report.run import SECTIONS, model_card, page
from tasks.judge.report.templating import data_uri
from tasks.judge.statistics.mistakes import Confusion
from tasks.options import GateOptions, TrainOptions
from tasks.options.base import STORED
from tasks.store.records.dataset import NO_OBJECT, Agreement, Disagreement, action_name
from tasks.store.records.decisions import RuleOutcome
from tasks.store.records.evaluation import LabelAudit
from tasks.store.records.export import ExportResult, PackageCosts, PackageDifference, PackageScore, PackedNetwork
from tasks.store.records.metrics import ClassChange, ClosedSet, Metrics, SplitSize, TwoActions
from tasks.store.records.record import IN_TABLES, MODELS
from tasks.wording import p_value, percent, percent_interval, signed, stretch
from tests.judge.gate.conftest import spread_of
from tests.judge.report.conftest import CASES, COMPARISONS, PREDICTIONS, THUMBNAIL, pictured
from tests.judge.report.named import HOSTILE_NAMES
from tests.judge.report.tree import Tree, plain, rows_of
from tests.records import some


def cells(html):
    """The cells of the tables of scores, by target, as rows of text."""
    tables = re.findall(r'<table class="scores" data-target="(\w+)">.*?<tbody>(.*?)</tbody>', html, re.S)
    return {target: rows_of(body) for target, body in tables}


@pytest.fixture(scope="module", params=CASES)
def case(request, make_inputs, page_of):
    return make_inputs(request.param), page_of(request.param)


def test_all_sections_are_there_even_where_nothing_fills_them_and_the_same_inputs_make_the_same_page(make_inputs, page_of):
    assert page(make_inputs("one clip")) == page_of("one clip")
    assert {anchor for anchor, _ in SECTIONS} <= {attributes.get("id") for _, attributes in Tree(page_of("bare")).elements}


def test_a_cell_with_all_but_one_clip_of_a_class_does_not_say_that_it_has_all():
    counts = Confusion(("put", "take"), ("put", "take"), np.array([[299, 1], [0, 5]]))
    titles = [cell.title for row in matrix_between(counts, "verb", "a", "b").rows for cell in row.cells]
    assert titles == [
        "put by a, put by b: 299 clips of 300 (99.7 %)",
        "put by a, take by b: 1 clip of 300 (0.3 %)",
        "",
        "take by a, take by b: 5 clips of 5 (100.0 %)",
    ]


def test_an_address_that_is_no_web_address_is_no_link_and_an_unknown_time_is_called_so(make_inputs, changed_page):
    odd = {"mlflow_run_url": "javascript:alert(1)", "airflow_run": "data:text/html,x", "dataset_created": "None", "trained": "None"}
    html = changed_page(provenance=make_inputs().metrics.provenance.model_copy(update=odd))
    assert not [link for link in Tree(html).of("a") if link["href"].startswith(("javascript", "data"))]
    assert "<code>javascript:alert(1)" in html
    assert "dataset of unknown date" in Tree(html).text
    assert "None" not in Tree(html).text


def test_options_of_an_earlier_version_are_listed_as_the_network_was_trained_with_them(make_inputs, changed_page):
    provenance = make_inputs().metrics.provenance
    train = TrainOptions.model_validate({"mixup": 0.2, "schedule": "step"}, context=STORED)
    text = Tree(changed_page(provenance=provenance.model_copy(update={"train": train}))).text
    assert all(pair in " ".join(text.split()) for pair in ("Learning rate schedule step", "mixup 0.2"))


TEST_IS_SMALL = "Val decides, because test has 9 clips of 2 source videos, and the gate asks for 10 of 3."
DRAWN, DEALT = "drawn as these were: at random", "a video that alone shows its action stays in train"
LEFT_OUT = ClosedSet(num_clips=3, num_actions=2, top1=0.4, top1_interval=(0.2, 0.6))


@pytest.mark.parametrize(
    ("deciding", "sizes", "changes", "sentences"),
    [
        ("val", {}, {}, ["Val decides, because there is no test split.", DEALT]),
        ("val", {"test": (20, 4), "acting": (9, 2)}, {"num_drawn": 2}, [TEST_IS_SMALL, DEALT]),
        ("test", {"test": (6, 2)}, {}, ["Test decides, because it chose no epoch. 95 %"]),
        ("test", {"test": (12, 4)}, {"num_drawn": 4}, [DRAWN]),
        ("test", {"test": (12, 4)}, {"num_drawn": 3}, ["like these: 3 were drawn at random, the others were assigned to splits", DEALT]),
        ("test", {"test": (12, 4)}, {"num_accepted": 3, "num_chosen": 2}, ["2 test clips are of videos", "3 of 12 test labels (25.0 %)"]),
        (
            "test",
            {"test": (12, 4)},
            {"num_accepted": 1, "num_chosen": 1},
            ["1 test clip is of videos", "1 of 12 test labels (8.3 %) was suggested"],
        ),
        ("test", {}, {"closed_set": LEFT_OUT}, ["3 clips of 2 unseen actions", "counted wrong, action top-1 is 40.0 % [20.0, 60.0]"]),
    ],
)
def test_page_and_card_say_which_split_decides_and_which_films_its_intervals_are_about(
    make_inputs, changed_page, deciding, sizes, changes, sentences
):
    splits = tuple(some(SplitSize, split=s, num_clips=sizes[s][0], num_sources=sizes[s][1], num_nothing=0) for s in sizes if s == "test")
    results = make_inputs("usual").metrics.results if deciding == "test" or sizes else ()
    if sizes:
        acting = dict(zip(("num_clips", "num_sources"), sizes.get("acting", sizes["test"]), strict=True))
        results = tuple(result.model_copy(update=acting) for result in results)
    changes = {"deciding_split": deciding, "splits": splits, "results": results, "num_drawn": None, **changes}
    shown, card = plain(changed_page(**changes)), model_card(make_inputs("usual").metrics.model_copy(update=changes))
    for sentence in sentences:
        assert sentence in shown
        assert "decides, because" in sentence or DEALT in sentence or sentence.split(",")[0] in card


def test_every_score_is_the_metrics_own(case):
    inputs, html = case
    metrics, tables = inputs.metrics, cells(html)
    if not metrics.results:
        assert tables == {}
        return
    assert tuple(tables) == metrics.targets
    of_role = {r.model: r for r in metrics.results}
    for target in metrics.targets:
        rows = tables[target]
        networks = [getattr(of_role[role], target) for role in MODELS if role in of_role]
        for row, m in zip(rows, networks, strict=False):
            assert row[1:3] == [percent(m.top1), percent_interval(m.top1_interval)]
            assert row[4:] == [percent(share) for share in (m.top5, m.recall_macro, m.precision_macro, m.precision_weighted)]
        majority = rows[len(networks)]
        assert majority[0].startswith("always predicting ")
        assert majority[1] == percent(networks[0].majority_top1)
        differences = [d for d in metrics.differences if d.target == target]
        assert len(rows) == len(networks) + 1 + len(differences)
        for row, d in zip(rows[len(networks) + 1 :], differences, strict=True):
            assert row[:3] == [f"{d.opponent} → new network", signed(d.difference), percent_interval(d.interval)]
            assert row[4].startswith(f"McNemar {p_value(d.mcnemar_p)} · {d.num_gained:,} gained, {d.num_lost:,} lost")
            low, high = d.interval
            assert ("too small to tell" in row[4] or "not enough to tell" in row[4] or "no difference" in row[4]) == (low <= 0 <= high)


def test_a_baseline_whose_heads_are_untrained_is_called_so(page_of):
    assert "baseline (untrained heads)" in plain(page_of("one clip"))


def test_the_version_before_is_a_row_of_its_own_and_why_it_is_not_is_said(make_inputs, page_of, changed_page):
    assert [row[0].split(" ▼")[0] for row in cells(page_of("mixed"))["verb"]][1] == "version 12 (previous)"
    assert f"put {NO_OBJECT}" not in plain(page_of("mixed"))
    assert "| verb | version 12 (previous)" in model_card(make_inputs("mixed").metrics)
    assert "Previous version version 12, evaluated again" in " ".join(plain(page_of("mixed")).split())
    reason = "version 2 is not compared: its checkpoint is gone"
    assert reason in changed_page(no_previous=reason)
    assert "Previous version" not in page_of("usual")


def test_a_network_no_better_than_guessing_is_marked_exactly_then(case):
    inputs, html = case
    for target, rows in cells(html).items():
        for row in rows:
            role = next((r for r in inputs.metrics.results if row[0].startswith(IN_TABLES[r.model]) and "→" not in row[0]), None)
            if role is not None:
                m = getattr(role, target)
                assert ("▼" in row[0] and "always predicting" in row[0]) == (m.top1 <= m.majority_top1)
    tuned = [r for r in inputs.metrics.results if r.model == "fine-tuned"]
    loses = [t for r in tuned for t in r.targets if getattr(r, t).top1 <= getattr(r, t).majority_top1]
    assert ("No better than always predicting the most frequent class" in html) == bool(loses)


def test_the_verdict_of_a_page_has_60_words_and_three_figures_at_most(case):
    inputs, html = case
    box = plain(html[html.index('<div class="verdict') : html.index('<dl class="facts">')].partition('<details class="why">')[0])
    if HOSTILE_NAMES[2] not in inputs.metrics.verdict:
        assert len(re.findall(r"\w[\w.,'-]*", box)) <= 60
        assert len(re.findall(r"\d[\d.,]*", box)) == 3
    assert plain(f"<p>{inputs.metrics.why}</p>").split()[:4] == plain(html.partition('<details class="why">')[2]).split()[1:5]


def test_the_original_experiment_is_told_plainly(page_of):
    html = page_of("original")
    rows = cells(html)
    assert rows["noun"][1][0] == "new network ▼ below always predicting 'meat' (65.2 %)"
    assert rows["noun"][1][1] == "47.8 %"
    assert "nouns: 47.8 % is below always predicting &#39;meat&#39; (65.2 %)" in html[: html.index('<section id="scores">')]
    assert "23 clips of 3 source videos" in html
    assert "2026-11-26 00:25 UTC" in html
    # What val leans to is on the first screen, and there is no champion to speak of.
    assert html.index("also selected the kept epoch (or the fusion weights)") < html.index('<section id="scores">')
    assert "Champion before</dt><dd>none</dd>" in html
    assert not [words for words in ("champion →", "champion (version") if words in html]


@pytest.mark.parametrize(
    ("case", "interval", "changes", "word"),
    [
        ("usual", (0.1, 0.4), {"passed": True}, "Passed"),
        ("usual", (0.1, 0.4), {"passed": False}, "Failed"),
        ("usual", (-0.1, 0.4), {"passed": False}, "Inconclusive"),
        ("usual", (0.1, 0.4), {"passed": False, "rules": "num_sources"}, "Inconclusive"),
        ("usual", (0.1, 0.4), {"passed": False, "rules": "gain"}, "Inconclusive"),
        ("original", (-0.1, 0.7), {}, "Failed"),
    ],
    ids=["passed", "failed", "interval with zero", "too few clips", "only at 95 %", "no better than guessing"],
)
def test_the_banner_says_what_came_of_it(make_inputs, changed_page, case, interval, changes, word):
    metrics = make_inputs(case).metrics
    if "rules" in changes:
        changes = changes | {"rules": tuple(r.model_copy(update={"passed": r.rule != changes["rules"]}) for r in metrics.rules)}
    differences = tuple(d.model_copy(update={"interval": interval}) for d in metrics.differences)
    assert re.search(r'<p class="word">(.*?)</p>', changed_page(case, differences=differences, **changes))[1].endswith(f" {word}")


def test_a_mean_that_gains_fails_where_the_registered_network_does_not_and_the_page_has_each_seed(make_inputs, changed_page):
    metrics = make_inputs("usual").metrics
    rules = tuple(rule.model_copy(update={"passed": rule.rule != "gain"}) for rule in metrics.rules)
    differences = tuple(d.model_copy(update={"difference": -0.1, "interval": (-0.3, 0.1)}) for d in metrics.differences)
    mean = differences[0].model_copy(update={"difference": 0.2, "interval": (0.1, 0.4), "num_seeds": 2})
    html = changed_page("usual", differences=differences, passed=False, rules=rules, spread=spread_of({5: 0.4, 6: 0.6}, mean))
    assert re.search(r'<p class="word">(.*?)</p>', html)[1].endswith(" Failed")
    assert all(words in html for words in ("seed 5 (the registered network)", "seed 6", "14.1 points"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"provisional": True, "champion_version": None},
            "but no other network is champion: it becomes the provisional champion if there is still no champion",
        ),
        ({"champion_is_provisional": True, "champion_version": 3}, "the champion stays. It is provisional, too, and only a network"),
    ],
)
def test_a_provisional_champion_is_called_so(make_inputs, changed_page, changes, told):
    changes = {"passed": False} | changes
    card = model_card(make_inputs().metrics.model_copy(update=changes))
    for text in (plain(changed_page(**changes)), card):
        assert told in text
        assert ("champion (version 3, provisional)" in text.replace("\\", "")) == (changes["champion_version"] == 3)


def test_classes_that_got_worse_are_marked_and_long_lists_folded(make_inputs, page_of):
    inputs, html = make_inputs("usual"), page_of("usual")
    section = re.search(r'<section id="classes">.*?</section>', html, re.S).group()
    assert section.count("▼ lower") == sum(c.is_worse for c in inputs.metrics.class_changes)
    assert section.count("<details>") == 2
    names = [c.name for c in inputs.metrics.class_changes]
    assert all(f'<th scope="row">{name}</th>' in section for name in names)


def test_the_change_of_a_class_is_that_of_its_f1(changed_page):
    before = {"recall_before": 0.5, "precision_before": 0.625, "f1_before": 0.5556}
    after = {"recall_after": 0.25, "precision_after": 0.75, "f1_after": 0.375}
    change = ClassChange(target="verb", name="take", support=9, is_worse=True, **before, **after)
    (row,) = rows_of(re.search(r'<tr class="worse">.*?</tr>', changed_page("bare", class_changes=(change,)), re.S)[0])
    assert " | ".join(row) == "take | 9 | 62.5 % | 75.0 % | 50.0 % | 25.0 % | 55.6 % | 37.5 % | \N{MINUS SIGN}18.1 | ▼ lower"


def test_confusion_counts_are_all_there(make_inputs, page_of):
    inputs, html = make_inputs("original"), page_of("original")
    section = re.search(r'<section id="confusion">.*?</section>', html, re.S).group()
    assert section.count('<table class="matrix') == 6
    printed = [int(n) for n in re.findall(r">(\d+)</(?:span|a)></td>", section)]
    assert sorted(printed) == sorted(n for c in inputs.metrics.confusions for row in c.counts for n in row if n)


def test_each_wrong_cell_lists_its_clips(page_of):
    html = page_of("one clip")
    listed = re.findall(r'<div class="cell" id="(.+?)" tabindex="-1"><h4>(.+?)</h4>\s*<ul>.*?<code class="fine" title="(.+?)">', html, re.S)
    clip = f"{0:012x}_000000000-000008000"
    assert listed == [
        ("cell-verb-baseline-0-1", "take predicted as put: 1 clip of 1 (100.0 %)", clip),
        ("cell-noun-baseline-0-1", "bag predicted as cloth: 1 clip of 1 (100.0 %)", clip),
        ("cell-action-baseline-0-1", "take bag predicted as put cloth: 1 clip of 1 (100.0 %)", clip),
    ]


def test_each_finding_leads_to_its_clips_and_each_clip_to_its_mend(make_inputs, page_of, changed_page):
    metrics, tree = make_inputs("original").metrics, Tree(page_of("original"))
    links, ids = [a["href"] for a in tree.of("a")], {attributes.get("id") for _, attributes in tree.elements}
    cells = [f"cell-{c.target}-{c.model}-{cell.row}-{cell.column}" for c in metrics.confusions for cell in c.wrong]
    findings = ("shared-sources", "near-duplicates", "missing-from-train", "label-conflicts")
    assert len(cells) > 6
    assert [anchor for anchor in (*cells, *findings) if f"#{anchor}" not in links or anchor not in ids] == []
    mends = {link for link in links if "/label/" in link}
    assert mends == {f"http://localhost:8080/retake/label/?store={metrics.provenance.dataset_uri}#clip={uid}" for uid in metrics.named_uids}
    worst = metrics.clips[int(metrics.mistakes[0].uid[:12], 16)]
    assert f"{worst.file} {stretch(worst.start_seconds, worst.stop_seconds)} Fix in Label {worst.uid[:12]}" in tree.text
    by_hand = changed_page("original", provenance=metrics.provenance.model_copy(update={"airflow_run": "started by hand"}))
    assert "Fix in Label" not in by_hand
    assert worst.uid in by_hand


@pytest.mark.parametrize("case", ["original", "comparison of two versions", "usual prediction"])
def test_the_picture_of_a_clip_is_in_the_page_once_and_beside_each_of_its_names(page_of, case):
    named, html = {**CASES, **COMPARISONS, **PREDICTIONS}[case](), page_of(case)
    uids = list(pictured(named.named_uids))
    assert html.count(data_uri(THUMBNAIL, "image/jpeg")) == len(uids) > 3
    shown = re.findall(r'<span class="thumb t(\d+)"[^>]*></span>.*?<code class="fine" title="(.+?)">', html)
    assert {uids[int(number)] for number, _ in shown} == {uid for _, uid in shown} == set(uids)
    all_uids = re.findall(r'<code class="fine" title="(.+?)">', html)
    # The clip of a mistake stands beside its large frames.
    of_mistakes = [mistake.uid for mistake in getattr(named, "mistakes", ()) if mistake.uid in uids]
    assert sorted([uid for _, uid in shown] + of_mistakes) == sorted(uid for uid in all_uids if uid in uids)


def test_a_clip_plays_in_the_page_or_is_named_by_its_address(make_inputs, page_of):
    inputs, html = make_inputs("usual"), page_of("usual")
    videos = Tree(html).of("video")
    assert [v["src"][:22] for v in videos] == ["data:video/mp4;base64,"] * len(inputs.clips)
    assert all(v["preload"] == "none" and "controls" in v for v in videos)
    for mistake in inputs.metrics.mistakes:
        assert (mistake.clip_uri in html) == (mistake.uid not in inputs.clips)
        shown = mistake.source if mistake.source.startswith("kitchen") else mistake.source[:12]
        assert f'<code title="{mistake.source}">{shown}</code>' in html


def test_what_the_data_checks_found_is_named(page_of):
    dirty, clean = page_of("original"), page_of("usual")
    for words in ("ZUr3DxYyTqI", "tray, move tray", "aaaaaaaaaaaa-0001", "take meat", "✗ 2 classes"):
        assert words in plain(dirty)
    assert clean.count("✓ none") == 3
    assert "Classes missing from train" not in clean
    assert "No problems in 479 clips of 2 splits." in clean


ALONE, SPOKEN = "a" * 12 + "-0001", ("a" * 12 + "-0001", "b" * 12 + "-0002")
AGREEMENT = Agreement(num_clips=12, num_videos=3, share=0.75, kappa=0.5, interval=(-0.123, 0.9))
DIFFERING = AGREEMENT.model_copy(update={"differing": (Disagreement(uid=ALONE, first="put meat", second="take <b>"),)})
TWO_VIDEOS = AGREEMENT.model_copy(update={"interval": None, "num_videos": 2})
ALIKE = AGREEMENT.model_copy(update={"kappa": None, "interval": None, "share": 1})
SECOND = TwoActions(uid=ALONE, action="put <b>", second_action="take bag")
REFUSED = "<x>.csv: 1 interval labels no clip: line 2"


CHECKS = {
    "usual": ({}, (), ("omebody speaks", "two readers", "two actions", "label no clip")),
    "nobody listened": ({"speech_unchecked": True}, ("Clips in which somebody speaks", "not checked"), ("allowed to keep",)),
    "nobody speaks": ({"with_speech": ()}, ("Clips in which somebody speaks",), ("allowed to keep",)),
    "people speak": ({"with_speech": SPOKEN}, ("People speak in 2 clips: are you allowed to keep that?", ALONE), ()),
    "two readers": ({"agreement": AGREEMENT}, ("kappa 0.50 [\N{MINUS SIGN}0.12, 0.90]", "12 clips of 3 videos labelled by two people"), ()),
    "two videos": ({"agreement": TWO_VIDEOS}, ("kappa 0.50", "without an interval, which takes 3 videos"), ("kappa 0.50 [",)),
    "same answers": ({"agreement": ALIKE}, ("100.0 %", "cannot be told"), ()),
    "different answers": ({"agreement": DIFFERING}, ("1 of them differently", f"{ALONE} put meat take <b>"), ()),
    "two actions": ({"two_actions": (SECOND,)}, ("A second action covers much of 1 clip;", "put <b> take bag"), ()),
    "no clip": ({"without_clip": (REFUSED,)}, ("in 1 file", f"{REFUSED}."), ()),
}


@pytest.mark.parametrize(("checks", "told", "untold"), CHECKS.values(), ids=CHECKS)
def test_the_data_checks_tell_what_was_found_and_only_that(make_inputs, changed_page, checks, told, untold):
    html = changed_page(checks=make_inputs().metrics.checks.model_copy(update=checks))
    shown = plain(re.search(r'<section id="checks">.*?</section>', html, re.S)[0])
    assert [words for words in told if words not in shown] == []
    assert [words for words in untold if words in shown] == []
    assert "No problems in 479 clips" in shown


def test_doubtful_labels_are_listed_with_film_and_link_and_where_none_were_judged_it_is_said(make_inputs, page_of, changed_page):
    def section(html):
        return re.search(r'<section id="doubtful">.*?</section>', html, re.S)[0]

    metrics = make_inputs().metrics
    html = section(page_of("usual"))
    assert "23 labels of 477 clips are doubtful; the 20 most doubtful follow. 2 clips could not be judged" in plain(html)
    _, *rows = rows_of(html)
    assert len(rows) == 20
    first = metrics.audit.doubtful[0]
    assert rows[0][1:] == [action_name(first.verb, first.noun), "0.3 %", action_name(first.likely_verb, first.likely_noun), "91.4 %"]
    assert f"{metrics.clips[0].file} 0:00" in rows[0][0]
    assert 'class="thumb t0"' in html
    assert f"#clip={first.uid}" in html
    for audit, words in (
        (None, "The labels were not judged."),
        (LabelAudit(num_clips=9, reason="there is <b> no room"), "The labels were not judged: there is <b> no room."),
        (LabelAudit(num_clips=9, num_judged=9), "No label of 9 clips is doubtful."),
        (
            LabelAudit(num_clips=9, num_judged=8),
            "is doubtful. 1 clip could not be judged, because no other source video shows their class.",
        ),
        (LabelAudit(num_clips=9, num_judged=6, num_without_features=3), "3 clips could not be judged, because the machine"),
    ):
        results = tuple(result.model_copy(update={"audit": audit}) for result in metrics.results)
        assert words in plain(section(changed_page(results=results)))


def test_where_it_fails_is_told_by_video_and_column_the_worst_first(page_of):
    html = re.search(r'<section id="groups">.*?</section>', page_of("usual"), re.S)[0]
    videos, cameras = re.findall(r"<tbody>(.*?)</tbody>", html, re.S)
    bad, good = (" | ".join(row[1:]) for row in rows_of(videos))
    assert bad == "12 | 1 | 25.0 % | [10.0, 100.0] | ▼ lower (p = 0.012)"
    assert good == "3 | 1 | 100.0 % | [10.0, 100.0] | too few to tell"
    assert [row[-1] for row in rows_of(cameras)] == ["▼ lower (p < 0.001)", "no difference shown (p = 0.210)"]
    assert re.findall("<h3>(.*?)</h3>", html) == ["By source video", "By camera"]
    assert "There are no scores by group." in page_of("bare")


def test_a_temperature_at_the_limit_of_the_search_is_marked(make_inputs, changed_page):
    limited = make_inputs().metrics.calibration[0].model_copy(update={"temperature": 19.99998})
    assert changed_page(calibration=(limited,)).count("at the limit of the search") == 1


def test_a_usual_page_has_errors_beside_chance_and_its_seeds_and_nothing_of_what_is_not_there(make_inputs, page_of):
    text = plain(page_of("usual"))
    assert "15.3 % by chance 12.2 %" in text
    assert "split 7, training 0, bootstrap 0 (2,000 resamples)" in text
    absent = "also selected|at the limit of the search|can(not)? name|othing happens|Fusion|Spectrogram"
    assert not re.search(absent, page_of("usual") + model_card(make_inputs("usual").metrics))


def test_a_network_that_was_not_counted_has_no_size_and_keeps_its_engine(make_inputs, changed_page):
    first, *others = make_inputs("original").metrics.results
    html = changed_page("original", results=(first.model_copy(update={"num_parameters": None, "num_flops": None}), *others))
    items = re.findall("<li>(.*?)</li>", re.search(r"<h3>Size and engine</h3>\s*<ul>(.*?)</ul>", html, re.DOTALL)[1])
    assert [("FLOPs per clip" in item, "parameters" in item) for item in items] == [(False, False)] + [(True, True)] * (len(items) - 1)
    assert all(first.engine.description in item for item in items)


def test_numbers_of_an_earlier_version_are_read_without_their_probe(make_inputs):
    metrics = make_inputs("usual").metrics
    earlier = metrics.model_dump(mode="json") | {"probe": [{"target": "verb"}], "no_probe": "features were not kept"}
    assert Metrics.model_validate(earlier) == metrics


def test_what_is_next_counts_the_clips_that_the_gate_lacks_and_knows_where_only_harder_films_help(make_inputs):
    metrics = make_inputs("usual").metrics
    few = some(RuleOutcome, rule="num_clips", title="Enough clips", passed=False, detail="7 clips, at least 10 needed")
    sizes = (some(SplitSize, split="train", num_clips=24), some(SplitSize, split="val", num_clips=10, num_nothing=3))
    faultless = metrics.results[0].action.model_copy(update={"top1": 1.0})
    results = tuple(result.model_copy(update={"split": "val", "action": faultless}) for result in metrics.results)
    changes = {"rules": (few,), "splits": sizes, "results": results, "deciding_split": "val", "gate": GateOptions(min_gate_clips=10)}
    facts = facts_of(metrics.model_copy(update=changes | {"num_unlabelled": 2}))
    (missing,) = facts.missing
    assert missing.startswith("enough clips (7 clips, at least 10 needed: about 49 labelled clips;")
    assert "so a larger val_share serves new videos only" in missing
    assert (facts.faultless_split, facts.num_unlabelled) == ("val", 2)
    assert facts.has_opponent == (metrics.champion_version is not None and not metrics.passed)
    assert facts_of(metrics).faultless_split == ""


def test_only_where_a_step_leads_out_does_next_say_that_links_may_not_open_in_mlflow(make_inputs, page_of):
    inputs = make_inputs("bare")
    by_hand = inputs.metrics.provenance.model_copy(update={"airflow_run": "started by hand"})
    pages = [page_of("usual"), page(replace(inputs, metrics=inputs.metrics.model_copy(update={"provenance": by_hand})))]
    assert [html.count("links may not open") for html in pages] == [1, 0]


def packed(name, top1, **costs):
    score = some(PackageScore, split="val", target="action", top1=top1, top1_interval=(0.4, 0.9))
    hardware = {"device_name": "EPYC", "num_cores": 2}
    return some(PackedNetwork, name=name, scores=(score,), costs=some(PackageCosts, **costs), hardware=hardware)


def test_a_package_is_shown_beside_the_registered_model_with_why_int8_was_refused(make_inputs, changed_page):
    networks = packed("OpenVINO fp16 <x>", 0.7, start_seconds=1.5, batch_size=4), packed("retake-tsn version 3", 0.75)
    common = {"split": "val", "target": "action", "interval": (-0.12, 0.01)}
    differences = (
        some(PackageDifference, against="version 3", against_registered=True, difference=-0.05, **common),
        some(PackageDifference, against="PyTorch", against_registered=False, difference=-0.04, **common),
    )
    told = {"refused": "int8 is refused", "artifacts_url": "http://mlflow/x"}
    package = some(ExportResult, networks=networks, differences=differences, **told)
    html = changed_page(packages=(package, package.model_copy(update={"refused": ""})))
    text = " ".join(Tree(html).text.split())
    for wanted in (
        "OpenVINO fp16 <x> 1 70.0 % [40.0, 90.0]",
        "retake-tsn version 3 1 75.0 %",
        "int8 is refused.",
        "minus version 3: \N{MINUS SIGN}5.0 points",
        "minus PyTorch: \N{MINUS SIGN}4.0 points",
        "on EPYC with 2 cores",
    ):
        assert wanted in text
    assert html.count("<h3>OpenVINO fp16 &lt;x&gt;</h3>") == html.count("<h3>OpenVINO fp16 &lt;x&gt;, instead of int8</h3>") == 1
    assert "http://mlflow/x" in [link["href"] for link in Tree(html).of("a")]
    card = model_card(make_inputs().metrics.model_copy(update={"packages": (package,)}))
    assert "- [OpenVINO fp16 &lt;x&gt;, instead of int8](http://mlflow/x)" in card
    assert "; actions on val, minus version 3: \N{MINUS SIGN}5.0 points [\N{MINUS SIGN}12.0, 1.0]; int8 is refused." in card
    assert "; .venv/bin/python -m tasks export models:/" in Tree(changed_page()).text
    of_student = package.model_copy(update={"networks": (networks[0], packed("runs/5/, student", 0.8), networks[1])})
    text = " ".join(Tree(changed_page(packages=(of_student,))).text.split())
    assert all(wanted in text for wanted in ("runs/5/, student 1 80.0 %", "the student's are of its own, on EPYC"))
