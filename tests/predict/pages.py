"""Inputs of a page: a usual run, one of a single network, and one whose every name is hostile."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np

from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.detection import Segment, detection_scores
from tasks.judge.statistics.metrics import measure
from tasks.judge.statistics.mistakes import Confusion
from tasks.options import EvaluateOptions, PredictOptions
from tasks.predict.agreement import Accuracy, Agreement, Pair
from tasks.predict.interval_scores import ReportedScores, WhenScores
from tasks.predict.output_files import ShownInterval
from tasks.predict.page import Differing, Guess, PageInputs, PredictionProvenance, ShownClip, ShownVideo
from tasks.predict.scored_video import Names
from tasks.predict.shift import NewSource, shift_of
from tasks.predict.to_label import Candidate, ToLabel
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.metrics import Cell
from tasks.store.records.prediction import ReferenceSource
from tasks.store.records.record import TARGETS, VERB_ALONE, SetAside
from tasks.wording import count
from tests.pipeline import shelf
from tests.records import some

HOSTILE = """</title></style><script>alert("x")</script><img src=x onerror=alert(1)> '`{{ 7 * 7 }}{% raw %}""" + "y" * 1000
ACTIONS = ("put meat", "take meat", "put sauce", "move potato", "take bag")
UID = "0" * 12 + "_000000000-000008000"
ENGINE = some(EngineUsed, name="pytorch", precision="float32", description="PyTorch 2.13.0 on cpu")


def predictor(label, is_calibrated=True, crops=10, interval_words=""):
    fitted = f"temperatures 1.30 (verbs) and 0.80 (nouns), fitted on 23 val clips ({count(crops, 'crop')} a frame, pytorch float32)"
    return shelf.predictor(
        label,
        "s3://retake/runs/0123/train/best.ckpt",
        "ab" * 32,
        description="TSN tf_efficientnet_lite0 rgb, 8 segments",
        verb_temperature=1.3,
        noun_temperature=0.8,
        is_calibrated=is_calibrated,
        calibration=fitted if is_calibrated else "not calibrated: no answers",
        calibration_crops=crops if is_calibrated else None,
        interval_words=interval_words,
        interval_threshold=0.61 if interval_words else None,
    )


def planned(threshold, against=True, reports=True, **more):
    """A prediction of intervals by one network or two."""
    networks = [shelf.predictor(label, interval_threshold=threshold, reports_intervals=reports) for label in ("m", "base")]
    evaluate, predict = EvaluateOptions(bootstrap_resamples=100), PredictOptions(stride_seconds=2)
    return shelf.predict_plan(networks[0], networks[1] if against else None, evaluate=evaluate, predict=predict, num_videos=3, **more)


def confusion(names, seed=5):
    """Each name mostly called by itself; the last of the rows is of a name that the model never gives, on two clips, of which one is listed."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (len(names), len(names) - 1)) + 9 * np.eye(len(names), len(names) - 1, dtype=np.int64)
    counts[-1, 0] = 2
    wrong = (Cell(row=len(names) - 1, column=0, num_clips=2, uids=(UID,)),)
    return Confusion(tuple(names), tuple(names[:-1]), counts, wrong=wrong)


def when_found(shown, words=ACTIONS):
    """Intervals of both networks in a video; the second finds fewer."""
    rng = np.random.default_rng(len(shown.clips))
    total = shown.clips[-1].stop_seconds

    def drawn(probability):
        edges = np.append(np.arange(0, total, 14), total)
        return tuple(
            ShownInterval(float(start), float(stop), words[int(rng.integers(len(words)))], float(rng.uniform(probability, 0.99)))
            for start, stop in pairwise(edges)
            if rng.random() < probability
        )

    labelled = (ShownInterval(3, min(20, total), words[0], None),)
    return replace(shown, intervals={"model": drawn(0.7), "against": drawn(0.3)}, labelled=labelled)


def when_scored(names, is_trained_on=False):
    """Scores of intervals on three films."""
    rng = np.random.default_rng(1)
    labelled = [Segment(film, 10 * i, 10 * i + 8, label) for film in "abc" for i, label in enumerate((0, 1, 2))]
    segments = [replace(segment, label=int(rng.integers(3)), score=float(rng.random())) for segment in labelled]
    each = dict.fromkeys(names.targets, detection_scores(segments, labelled, {film: film for film in "abc"}, num_resamples=200))
    networks, guessed = {"model": each, "against": each}, dict.fromkeys(names.targets, "take")
    group = "training" if is_trained_on else "other"
    return WhenScores(group, 3, 3, 9, 2 * is_trained_on, is_trained_on, networks, each, guessed, names)


def video(name, num_clips, seed, action=None, num_left=0, trained=()):
    """Clips in runs of about four, of which the networks name two of three alike."""
    rng = np.random.default_rng(seed)
    clips = []
    for i in range(num_clips):
        if i == 0 or rng.random() < 0.3:
            ours, other = (action or ACTIONS[chosen] for chosen in rng.integers(len(ACTIONS), size=2))
            theirs = ours if rng.random() < 0.6 else other
        guesses = (Guess(ours, float(rng.uniform(0.3, 0.95))), Guess(theirs, float(rng.uniform(0.1, 0.6))))
        uid = f"{seed:012x}_{8000 * i:09d}-{8000 * i + 8000:09d}"
        clips.append(ShownClip(uid, 8.0 * i, 8.0 * i + 8, *guesses, truth=ours if i % 5 == 0 else None))
    return ShownVideo(name, f"{seed:064x}", tuple(clips), num_clips + num_left, trained)


@cache
def usual():
    videos = video("P01_11.mp4", 9, 1), video("evening/P02 long.mkv", 64, 2, trained=("baseline",)), video("one.mp4", 1, 3, num_left=2)
    true = np.array([0, 1, 1, 0, 2])
    answers = Answers("verb", true, np.array([[0, 1], [1, 0], [0, 1], [0, 2], [2, 1]]), {0: "take", 1: "put", 2: "move"})
    scores = {target: measure(answers, ["a", "a", "b", "b", "c"]) for target in TARGETS}
    expected = {role: dict.fromkeys(TARGETS, share) for role, share in (("model", 0.999), ("against", 0.2))}
    guesses = (Guess("put meat", 0.81), Guess("take meat", 0.1), Guess("put bag", 0.05))
    fallen_back = ENGINE.model_copy(update={"fallback_reason": "too few clips"})
    others = (Guess("verb-7 noun-81", 0.04), Guess("verb-9 noun-2", 0.03), Guess("verb-1 noun-4", 0.02))
    uid = "0" * 12 + "_000008000-000016000"
    candidate = Candidate(uid, "P01_11.mp4", 8, 16, "put", "meat", "put meat", 0.34, "take meat", 0.31, 0.7, 0.4)
    return PageInputs(
        model=predictor("retake-tsn version 3", crops=1, interval_words="from 61.0 % on, because 80.0 % of the 20 val clips were right"),
        against=predictor("baseline", is_calibrated=False),
        missing=(),
        targets=TARGETS,
        num_videos=5,
        num_videos_trained_on=1,
        num_trained_by={"baseline": 1},
        num_clips=74,
        num_labelled=5,
        videos=tuple(map(when_found, videos)),
        stride_seconds=2.5,
        reported=(
            ReportedScores("model", "other", 2, 31, 25, (0.61, 0.93), 4, 192.0),
            ReportedScores("against", "val", 1, 0, 0, None, 0, 0.0),
        ),
        shift=shift_of(
            [NewSource("1", "P01_11.mp4", (0.21, 0.44, 0.48)), NewSource("2", "one.mp4", (0.46, 0.51))],
            [ReferenceSource(source=str(n), split="train", distances=(0.2 + 0.01 * n, 0.22)) for n in range(12)],
        ),
        when=tuple(when_scored(Names({0: "take", 1: "put", 2: "move"}, {}), trained) for trained in (False, True)),
        agreements=tuple(Agreement(t, 74, 3, n, n / 74, (n / 74 - 0.1, n / 74 + 0.12)) for t, n in zip(TARGETS, (60, 55, 40), strict=True)),
        pairs={target: (Pair("put meat", "take meat", 9), Pair("put", "verb-7", 2)) for target in TARGETS},
        num_differing={"verb": 14, "noun": 19, "action": 34},
        confusions={
            "verb": confusion(("put", "take", "verb-7")),
            "noun": confusion([f"a noun of many words {i}" for i in range(12)]),
            "action": confusion([*(f"put the meat {i}" for i in range(30)), "9 others"]),
        },
        clip_names={UID: "P01_11.mp4 0:00\N{EN DASH}0:08"},
        accuracies=tuple(Accuracy(trained, 5, 3, 0, {"model": scores, "against": scores}, expected) for trained in (False, True)),
        differing=(
            Differing("0" * 12 + "_0-8000", "s3://retake/clips/0.mp4", "P01_11.mp4", 0, 8, 0.93, guesses, others, "put meat", None),
            Differing("1" * 12 + "_0-8000", "s3://retake/clips/1.mp4", "one.mp4", 3608, 3614.5, 0.41, guesses, others, None, b"\0" * 9),
        ),
        to_label=(ToLabel(candidate, 0.91, "put meat (34.0 %) or take meat (31.0 %)"),) * 3,
        set_aside=(SetAside(name="one frame.mp4", reason="0.03 s long, shorter than the minimum of 2 s per clip"),),
        warnings=(SetAside(name="short.mp4, 0-2 s", reason="3 frames make 2 fields of flow, but a network needs 5 in a row"),),
        provenance=PredictionProvenance(
            key="0123456789abcdef",
            created="2026-11-26T04:00:00.000Z",
            code_version="0123abc",
            prediction_uri="s3://retake/predictions/0123456789abcdef/",
            airflow_run="started by hand",
            mlflow_run_url="http://127.0.0.1:5000/#/experiments/1/runs/2",
            crops=10,
            engines={"model": ((ENGINE, 70), (fallen_back, 4)), "against": ((ENGINE, 74),)},
            known="300 of 1200 training clips",
            scoring_seconds=81.0,
        ),
    )


def alone():
    """One network, no labels, and a baseline that could not be had."""
    inputs = usual()
    without = {"against": None, "truth": None}
    return replace(
        inputs,
        against=None,
        missing=("the baseline of retake-tsn version 3 was never fetched",),
        videos=tuple(
            replace(shown, clips=tuple(replace(clip, **without) for clip in shown.clips), trained=(), intervals={})
            for shown in inputs.videos
        ),
        stride_seconds=None,
        shift=None,
        num_labelled=0,
        num_videos_trained_on=0,
        pairs=dict.fromkeys(TARGETS, ()),
        num_differing=dict.fromkeys(TARGETS, 0),
        confusions={},
        **dict.fromkeys(("when", "reported", "agreements", "accuracies", "differing", "to_label", "set_aside", "warnings"), ()),
    )


def hostile():
    inputs = usual()
    guess = (Guess(HOSTILE, 0.5),)
    listed = inputs.to_label[0]
    return replace(
        inputs,
        model=predictor(HOSTILE, interval_words=HOSTILE),
        against=predictor(HOSTILE, is_calibrated=False),
        missing=(HOSTILE,),
        videos=(when_found(video(HOSTILE, 5, 4, action=HOSTILE), (HOSTILE,)),),
        when=(when_scored(Names(dict.fromkeys(range(3), HOSTILE), {})),),
        shift=shift_of([NewSource("1", HOSTILE, (0.5,))], ()),
        pairs={target: (Pair(HOSTILE, HOSTILE, 1),) for target in TARGETS},
        confusions={"action": confusion((HOSTILE, HOSTILE, HOSTILE))},
        clip_names={UID: HOSTILE},
        differing=tuple(replace(clip, uri=HOSTILE, file=HOSTILE, model=guess, against=guess, truth=HOSTILE) for clip in inputs.differing),
        to_label=(replace(listed, clip=replace(listed.clip, file=HOSTILE, first=HOSTILE), reason=HOSTILE),),
        set_aside=(SetAside(name=HOSTILE, reason=HOSTILE),),
        warnings=(SetAside(name=HOSTILE, reason=HOSTILE),),
        provenance=replace(inputs.provenance, airflow_run="javascript:alert(1)", mlflow_run_url=HOSTILE, known=HOSTILE),
    )


def verbs_alone():
    """Two networks, and the model was taught verbs alone."""
    inputs = usual()
    candidate = replace(inputs.to_label[0].clip, noun=NO_OBJECT)
    of_verbs = Names({0: "wave", 1: "clap", 2: "knock"}, {}).of_verbs()
    return replace(
        inputs,
        targets=VERB_ALONE,
        model=inputs.model.model_copy(update={"calibration": "temperature 1.30 (verbs), fitted on 23 val clips"}),
        when=tuple(when_scored(of_verbs, scores.is_trained_on) for scores in inputs.when),
        agreements=inputs.agreements[:1],
        pairs={"verb": (Pair("wave", "clap", 9),)},
        num_differing={"verb": 14},
        confusions={"verb": confusion(("wave", "clap", "verb-7"))},
        accuracies=tuple(
            replace(scored, networks={role: {"verb": scores["verb"]} for role, scores in scored.networks.items()})
            for scored in inputs.accuracies
        ),
        differing=tuple(replace(clip, against=clip.model[::-1]) for clip in inputs.differing),
        to_label=(replace(inputs.to_label[0], clip=candidate),),
    )


CASES = {"usual": usual, "verbs alone": verbs_alone, "alone": alone, "hostile": hostile}
