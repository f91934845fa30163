"""The report of a fusion, of joined features, of a network that hears, of one with one view, and of labels without objects."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.judge.report import networks
from tasks.judge.report import search as search_tables
from tasks.judge.report.networks import networks_note, networks_page
from tasks.judge.report.png_figures import spectrogram_sheet
from tasks.judge.report.run import ReportInputs, model_card, page, training_settings
from tasks.judge.report.search import search_note, search_page
from tasks.judge.report.templating import TURNS
from tasks.options import TrainOptions
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.record import VERB_ALONE
from tasks.store.records.training import FusedMember, Fusion
from tasks.wording import stretch
from tests.judge.report.a_search import search_of
from tests.judge.report.compared import comparison_of
from tests.judge.report.conftest import RETRAIN
from tests.judge.report.named import HOSTILE_NAMES, drawn, without_objects
from tests.judge.report.runs import metrics_of
from tests.judge.report.tree import Tree, front_matter, without_settings


def fused(*names, **changes):
    """The numbers of a fusion with members of these names."""
    first = FusedMember(
        name="runs/0123456789abcdef/", network="TSN resnet50 rgb, 8 segments", verb_weight=0.25, noun_weight=0.7, val_loss=3.21
    )
    flow = FusedMember(name="models:/flow@champion", network="TSN bninception flow (tvl1)", verb_weight=0.75, noun_weight=0.3, val_loss=4.1)
    members = (first, *(first.model_copy(update={"name": name}) for name in names), flow)
    losses = {"chosen_loss": 2.875, "equal_loss": 2.987, "held_out_loss": 2.9, "held_out_equal_loss": 3.0}
    fusion = Fusion(members=members, num_clips=23, num_sources=4, **losses | changes)
    return metrics_of(drawn(40), epochs=(), calibration=(), learning_curve=None, no_learning_curve="a fusion trains nothing", fusion=fusion)


def test_page_and_card_name_the_members_their_weights_and_every_loss(page_of):
    metrics = fused()
    shown, card = page(ReportInputs(metrics)), model_card(metrics)
    for text in (shown, card):
        for wanted in ("TSN resnet50 rgb", "bninception flow", "25.0 %", "70.0 %", "3.210", "4.100", "2.987", "2.875", "2.900"):
            assert wanted in text
    assert "the chosen weights hold on the other fold" in shown
    assert "fused to predict the verb" in card
    # A fusion has no epochs, and none of the options of a training.
    of_training = ("Learning rate", "Maximum epochs", "Optimizer")
    assert not any(title in shown for title in ("No epochs were recorded", *of_training))
    assert all(title in page_of("usual") for title in of_training)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"held_out_loss": None, "held_out_equal_loss": None}, "could not be tested on others"),
        ({"held_out_loss": 3.1}, "nothing shows that the chosen"),
    ],
)
def test_a_choice_that_is_not_supported_is_called_so(changes, said):
    metrics = fused(**changes)
    assert said in page(ReportInputs(metrics))
    assert said in model_card(metrics)


def test_hostile_names_of_members_stay_text():
    tree = Tree(page(ReportInputs(fused(*HOSTILE_NAMES))))
    assert (len(tree.of("script")), tree.of("img")) == (1, [])
    assert [name for name in HOSTILE_NAMES if name.translate(TURNS) not in tree.text] == []


def test_joined_features_show_the_options_that_train_their_head_and_none_of_a_network():
    metrics = metrics_of(drawn(40))
    train = TrainOptions(fuse=["runs/a/", "runs/b/"], join="features", trainable="heads", head="tcn")
    metrics = metrics.model_copy(update={"provenance": metrics.provenance.model_copy(update={"train": train})})
    titles = {setting.title for setting in training_settings(metrics)}
    assert {"Fuse", "Join", "Classification head", "Learning rate", "Maximum epochs", "Views per clip, heads only"} <= titles
    assert not titles & {"Network family", "Input", "Backbone", "Segments", "Start from", "Optical flow method"}


def test_the_sound_of_a_mistake_stands_beside_it_and_its_absence_is_told(make_inputs):
    inputs = make_inputs("bare")
    usual = make_inputs().metrics
    silent = usual.mistakes[1].uid
    results = [result.model_copy(update={"unheard": (silent,)}) for result in usual.results]
    metrics = inputs.metrics.model_copy(update={"results": tuple(results), "mistakes": usual.mistakes})
    uids = [mistake.uid for mistake in usual.mistakes]
    shown = {clip.uid: f"{clip.file} {stretch(clip.start_seconds, clip.stop_seconds)}" for clip in metrics.clips}
    sheet = spectrogram_sheet(np.full((1601, 128), 90, np.uint8))
    html = page(replace(inputs, metrics=metrics, spectrograms=dict.fromkeys(uids, sheet) | {silent: b""}))
    tree = Tree(html)
    assert not tree.faults
    pictures = [image["alt"] for image in tree.of("img") if image["alt"].startswith("Spectrogram")]
    assert pictures == [f"Spectrogram of clip {shown[uid]}" for uid in uids if uid != silent]
    assert html.count("nothing to hear</p>") == 1
    assert f"had nothing to hear: {shown[silent]}" in html
    assert "their frames and sound" in html


def test_a_network_with_one_view_is_not_said_to_have_seen_ten_crops(make_inputs, changed_page):
    metrics = make_inputs().metrics
    *others, tuned = metrics.results
    results = (*others, tuned.model_copy(update={"own_crops": 1}))
    assert "10 crops" in model_card(metrics)
    assert ", 1 crop." in model_card(metrics.model_copy(update={"results": results}))
    cell = '<td class="num">1</td>'
    assert changed_page(results=results).count(cell) > changed_page().count(cell)


def of_all(subject, tables, *pages):
    return " ".join([*pages, tables.table(subject).decode(), tables.verdict(subject), *tables.metrics_of(subject)])


def of_search():
    search = search_of(5, targets=VERB_ALONE)
    return of_all(search, search_tables, search_page(search, RETRAIN), search_note(search))


def of_comparison():
    comparison = comparison_of(without_objects())
    return of_all(comparison, networks, networks_page(comparison), networks_note(comparison))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda page_of, _: Tree(without_settings(page_of("verbs alone"))).text, ["classifies"]),
        (lambda page_of, _: Tree(page_of("verbs alone prediction")).text, ["same verb"]),
        (lambda _, make_inputs: front_matter(model_card(make_inputs("verbs alone").metrics))[1], ["to predict the verb of short video"]),
        (lambda *_: of_search(), ["verb top-1"]),
        (lambda *_: of_comparison(), ["has the highest verb top-1", "verb_top1_low", "verb top-1, %"]),
    ],
    ids=["report", "prediction", "card", "search", "comparison"],
)
def test_no_document_speaks_of_nouns_or_actions(page_of, make_inputs, written, expected):
    text = without_settings(written(page_of, make_inputs)).lower()
    assert [words for words in expected if words not in text] == []
    assert not [word for word in ("noun", "action", NO_OBJECT) if word in text]
