from dataclasses import replace

import pytest

from tasks.predict.agreement import Agreement
from tasks.predict.output_files import ShownInterval
from tasks.predict.page import MAX_NOT_REPORTED, Guess, ShownClip, drawing, page, spans
from tasks.predict.shift import NewSource, shift_of
from tasks.store.records.record import TARGETS
from tests.judge.report.tree import Tree
from tests.predict.pages import HOSTILE, UID, alone, hostile, predictor, usual


def words(inputs):
    return Tree(page(inputs)).text


@pytest.fixture(scope="module")
def inputs():
    return usual()


@pytest.fixture(scope="module")
def text(inputs):
    return words(inputs)


def test_hostile_names_are_text():
    text = words(hostile())
    assert text.count(" ".join(HOSTILE.split())) > 15
    assert "'`49" not in text


def test_the_words_about_a_usual_run(text):
    for said in (
        "The two networks predict the same action on 54.1 % of 74 clips of 5 videos",
        "baseline: not calibrated: no answers. Its probabilities",
        "≠ differ",
        "one frame.mp4",
        "shorter than the minimum of 2 s",
        "2 more videos: only in predictions.csv",
        "0.93 bits",
        "1:00:08\N{EN DASH}1:00:14.5",
        "300 of 1200 training clips",
        "retake-tsn version 3: calibrated with 1 crop per frame, used here with 10.",
        "1 of 5 videos used for training.",
        "baseline was trained on these videos. There a network looks more accurate",
        "Training video: baseline was trained on it.",
        "Other videos",
        "Training videos",
        "The first 1 of 3 clips; predictions.csv has the rest",
        "pytorch float32 (PyTorch 2.13.0 on cpu) on 70 clips",
        "on 4 clips: too few clips",
        "Rows are predictions of baseline",
        "9 others",
    ):
        assert said in text
    assert "retake-tsn version 3: not calibrated" not in text
    assert text.count("2 more labelled videos, left out for both networks.") == 1


def test_new_footage_and_reported_intervals_are_told_as_far_as_they_were_measured(text, inputs):
    assert "New footage: unlike the training clips (p = 0.011). 4 of 5 clips of 2 source videos lie further" in text
    assert "P01_11.mp4 3 2 12 of 12" in text
    assert "2 other 25 of 31 80.6 % [61.0, 93.0] 4 1.25 in 3 min 12 s" in text
    assert "1 of val 0 of 0 not measured none 0 not measured" in text
    assert "99.9 %, too sure" in text
    assert "too sure" not in words(replace(inputs, accuracies=()))
    assert "are not measured, because no labels of these videos say when something happens" in words(replace(inputs, reported=()))


def test_films_that_cannot_be_told_say_why(inputs):
    few = replace(inputs, shift=shift_of([NewSource("1", "a.mp4", (0.5,))], ()))
    assert "New footage: cannot tell whether it is like the training clips: it takes 3 source videos" in words(few)
    assert "nearer films" not in words(few)
    assert "New footage" not in words(replace(few, shift=None))


def test_a_cell_of_differing_predictions_leads_to_its_clips_and_these_to_the_page_label(inputs):
    started = replace(inputs.provenance, airflow_run="http://127.0.0.1:8080/dags/predict_videos/runs/1")
    tree = Tree(page(replace(inputs, provenance=started)))
    anchors = [f"#{cell['id']}" for cell in tree.of("div") if cell.get("class") == "cell"]
    assert anchors == ["#cell-verb-2-0", "#cell-noun-11-0", "#cell-action-30-0"]
    links = [link["href"] for link in tree.of("a")]
    assert [link for link in links if link.startswith("#cell")] == anchors
    assert links.count(f"http://127.0.0.1:8080/retake/label/?store={started.prediction_uri}#clip={UID}") == 3
    assert "verb-7 by baseline, put by retake-tsn version 3: 2 clips of" in tree.text
    assert tree.text.count("P01_11.mp4 0:00\N{EN DASH}0:08 Fix in Label") == tree.text.count("1 more clip of lower divergence") == 3


def test_a_provisional_champion_is_called_so(text, inputs):
    marked = replace(inputs, model=inputs.model.model_copy(update={"provisional": True}))
    assert "retake-tsn version 3 is a provisional champion." in words(marked)
    assert "provisional" not in text


def test_one_network_alone_has_no_empty_sections():
    tree = Tree(page(alone()))
    assert "predicted only by retake-tsn version 3" in tree.text
    assert "Missing: the baseline of retake-tsn version 3 was never fetched" in tree.text
    assert {"agreement", "pairs", "differing", "accuracy"}.isdisjoint(attributes.get("id") for _, attributes in tree.elements)
    assert "interval" not in tree.text.replace("confidence interval", "").lower()
    assert "White lines" not in tree.text


def test_a_blank_is_explained_where_there_is_one(text, inputs):
    (_, long, _) = inputs.videos
    for left in (long.clips[:5] + long.clips[9:], long.clips[3:]):
        assert "Blank parts were not predicted." in words(replace(inputs, videos=(replace(long, clips=left),)))
    assert "Blank parts" not in text


@pytest.fixture(scope="module")
def partly(inputs):
    """The second network answered for one video of four clips alone."""
    videos = tuple(replace(shown, clips=tuple(replace(clip, against=None) for clip in shown.clips)) for shown in inputs.videos[:2])
    answered = replace(inputs.videos[0], name="answered.mp4", clips=inputs.videos[0].clips[:4], num_clips=4)
    return replace(
        inputs,
        videos=(*videos, answered),
        num_clips=77,
        agreements=tuple(Agreement(target, 4, 1, 2, 0.5, (0.0, 1.0)) for target in TARGETS),
        accuracies=(replace(inputs.accuracies[0], num_left_out=30),),
    )


def test_agreement_and_accuracy_are_told_of_the_clips_that_both_answered(partly):
    text = words(partly)
    assert "predict the same action on 50.0 % of the 4 clips that both predicted, of 77 clips of 5 videos" in text
    assert "baseline predicted 4 of the 77 clips" in text
    assert "On 5 labelled clips that both networks predicted, of 3 source videos. 30 labelled clips that only" in text
    (accuracy,) = partly.accuracies
    of_one = (replace(accuracy, networks={"model": accuracy.networks["model"]}, num_left_out=0),)
    assert "On 5 labelled clips that only retake-tsn version 3 predicted" in words(replace(partly, accuracies=of_one))
    assert "On 5 labelled clips, of" in words(replace(alone(), accuracies=of_one))


def test_a_video_that_the_other_network_did_not_answer_claims_no_agreement(partly):
    tree = Tree(page(partly))
    spoken = [attributes["aria-label"] for attributes in tree.of("svg") if attributes.get("class") in ("line", "line alone")]
    assert ["the same action on" in label for label in spoken] == [False, False, True]
    assert tree.text.count("baseline was not available for this video.") == 2
    assert "0:00\N{EN DASH}0:08" in tree.text
    assert "% \N{EN DASH}" in tree.text


HOW_TO_READ = "How to read this"


def test_of_actions_nothing_is_promised(text):
    text = text.rpartition(HOW_TO_READ)[2]
    assert "about seven in ten verbs predicted at 70 % are correct, and so for nouns" in text
    assert "ten actions" not in text
    assert "not fitted themselves" in text
    assert text.count("about seven in ten") == 1  # the baseline is not calibrated
    assert "Probabilities of baseline Not calibrated:" in text


def test_without_calibration_no_share_of_right_answers_is_promised():
    text = words(replace(alone(), model=predictor("alone", is_calibrated=False))).rpartition(HOW_TO_READ)[2]
    assert "Probabilities of alone Not calibrated:" in text
    assert "seven" not in text


def clip(i, ours, theirs="take bag", truth=None):
    return ShownClip(str(i), 8.0 * i, 8.0 * i + 8, Guess(ours, 0.2 + 0.2 * i), Guess(theirs, 0.5) if theirs else None, truth)


FOUR_CLIPS = [clip(0, "put meat"), clip(1, "put meat"), clip(2, "take bag"), clip(3, "put meat")]


def test_neighbours_with_the_same_predictions_are_one_span():
    stretches = spans(FOUR_CLIPS)
    assert [(s.start_seconds, s.stop_seconds, s.num_clips, s.model.action, s.differs) for s in stretches] == [
        (0, 16, 2, "put meat", True),
        (16, 24, 1, "take bag", False),
        (24, 32, 1, "put meat", True),
    ]
    assert stretches[0].model.probability == pytest.approx(0.3)


def test_each_network_and_their_differences_are_drawn_along_the_whole_video():
    drawn = drawing(FOUR_CLIPS)
    assert [(bar.x, bar.width, bar.shown) for bar in drawn.model] == [(0, 50, "put meat"), (50, 25, "take bag"), (75, 25, "put meat")]
    assert [(bar.x, bar.width) for bar in drawn.against] == [(0, 100)]
    assert [(bar.x, bar.width) for bar in drawn.differ] == [(0, 50), (75, 25)]
    assert [bar.spoken for bar in drawn.differ] == ["0:00 to 0:16: they differ", "0:24 to 0:32: they differ"]
    assert drawing([clip(0, "put meat", None)]).against == ()


@pytest.mark.parametrize("theirs", ["take bag", None])
def test_no_span_and_no_bar_goes_over_an_unpredicted_part(theirs):
    clips = [clip(0, "put meat", theirs), clip(100, "put meat", theirs)]
    assert [(s.start_seconds, s.stop_seconds, s.num_clips) for s in spans(clips)] == [(0, 8, 1), (800, 808, 1)]
    drawn = drawing(clips)
    for bars in (drawn.model, drawn.against, drawn.differ) if theirs else (drawn.model,):
        assert [(bar.x, bar.width) for bar in bars] == [
            (0, pytest.approx(800 / 808)),
            (pytest.approx(80_000 / 808), pytest.approx(800 / 808)),
        ]
        assert [bar.spoken.partition(": ")[0].split()[0] for bar in bars] == ["0:00", "13:20"]


def test_words_that_do_not_fit_are_left_out():
    drawn = drawing([clip(i, f"put the meat {i}") for i in range(20)])
    assert {bar.shown for bar in drawn.model} == {""}
    assert all(bar.spoken for bar in drawn.model)


def test_another_label_or_opponent_begins_a_span():
    assert len(spans([clip(0, "a", "b"), clip(1, "a", "c"), clip(2, "a", "c", "a")])) == 3
    assert len(spans([clip(0, "a", None), clip(1, "a", None)])) == 1
    assert spans([]) == drawing([]).model == ()


def test_intervals_are_drawn_below_the_clips_with_their_probability_and_labels_without(inputs):
    first = replace(
        inputs.videos[0],
        intervals={
            "model": (ShownInterval(2, 18, "put meat", 0.715), ShownInterval(20, 24, "put sauce", 0.2, is_not_reported=True)),
            "against": (),
        },
        labelled=(ShownInterval(3, 20.5, "take meat", None), ShownInterval(500, 510, "after the last clip", None)),
    )
    tree = Tree(page(replace(inputs, videos=(first,))))
    assert "0:02 to 0:18: put meat, 71.5 %" in tree.text
    assert "0:03 to 0:20.5: take meat" in tree.text
    assert "after the last clip" not in tree.text
    assert "0:20 to 0:24: put sauce, 20.0 %, not reported" in tree.text
    assert len([drawing for drawing in tree.of("svg") if drawing.get("class") == "not-reported"]) == 1
    spoken = [attributes["aria-label"] for attributes in tree.of("svg") if "when" in attributes.get("class", "").split()]
    assert spoken == [f"P01_11.mp4: {number}" for number in ("1 interval and 1 not reported", "0 intervals", "1 labelled interval")]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ({"interval_threshold": 0.614}, "baseline: grey below 61.4 %. It reports intervals some words."),
        ({"reports_intervals": False}, "baseline: all are grey. It reports some words."),
        ({}, "baseline: none is grey. It reports intervals some words."),
    ],
)
def test_of_each_network_the_page_says_which_intervals_are_grey(threshold, expected, inputs):
    against = inputs.against.model_copy(update={"interval_words": "some words", **threshold})
    text = words(replace(inputs, against=against))
    assert expected in text
    assert "retake-tsn version 3: grey below 61.0 %. It reports intervals from 61.0 % on, because" in text


@pytest.mark.parametrize("step", [1 / 9999, 0])
def test_of_very_many_intervals_that_are_not_reported_the_likeliest_are_shown_and_the_rest_counted(step, inputs):
    grey = tuple(ShownInterval(i / 10, i / 10 + 0.1, "put meat", i * step, is_not_reported=True) for i in range(MAX_NOT_REPORTED))
    sure = (ShownInterval(0, 1, "take bag", 0),)
    video = replace(inputs.videos[1], intervals={"model": (*sure, *grey), "against": grey[:10]})
    tree = Tree(page(replace(inputs, videos=(video,))))
    assert "not_reported.csv lists them all, also the 10 least likely, which do not fit here." in tree.text
    assert len([drawing for drawing in tree.of("svg") if drawing.get("class") == "not-reported"]) == MAX_NOT_REPORTED
    assert f"1 interval and {MAX_NOT_REPORTED:,} not reported of retake-tsn version 3; 0 intervals and 10 not" in tree.text
    assert "take bag 0.0 %" in tree.text


def test_where_one_source_video_has_labels_the_page_says_that_there_is_no_interval(text, inputs):
    (other, _) = inputs.when
    assert "interval (CI) of the mean is over source videos" in text

    def without(scores):
        return {target: replace(score, interval=None) for target, score in scores.items()}

    networks = {role: without(scores) for role, scores in other.networks.items()}
    shown = words(replace(inputs, when=(replace(other, networks=networks, guessing=without(other.guessing)),)))
    assert "cannot be given: it takes labelled intervals of 2 source videos or more" in shown
    assert shown.count("% none") == 9


@pytest.mark.parametrize(
    ("num_by", "said"),
    [
        ({"m version 3": 2, "m version 2": 2}, "m version 3 and m version 2 were trained on these videos"),
        ({"m version 3": 1, "m version 2": 1}, "m version 3 and m version 2 were each trained on some of these videos"),
        ({"m version 3": 2, "m version 2": 1}, "m version 3 and m version 2 were each trained on some of these videos"),
    ],
)
def test_of_two_networks_those_that_were_trained_on_the_videos_are_named(num_by, said):
    assert replace(usual(), num_videos_trained_on=2, num_trained_by=num_by).trained_words == said
