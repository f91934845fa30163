"""New films predicted by two networks, every step real but for the store and MLflow."""

import csv
import hashlib
import html
import json
import re
import shutil

import numpy as np
import pytest
from scipy.special import softmax

from tasks.data.clips.label_inputs import append_to_log
from tasks.data.clips.stored_clips import clip_uid
from tasks.data.split.split import read_drawn, read_split_csv, write_split_csv
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.keys import content_key
from tasks.options import Weights
from tasks.pages.label.clips import read_suggestions
from tasks.pipeline.predict_videos import predict_plan
from tasks.pipeline.predict_videos.predict import in_words
from tasks.predict import gathering
from tasks.predict.scored_video import read_scored
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult, LabelsFile, Manifest, action_name
from tasks.store.records.labelling import ClipStatement
from tasks.store.records.prediction import KnownLabels, ReferenceSource
from tasks.store.records.training import PlanResult, Teacher, UnlabelledClips
from tasks.store.run_layout import Prediction, Run
from tasks.wording import count
from tests.data.labels.records import clip_record
from tests.pipeline.in_process import LABELS, STORE, Bench
from tests.pipeline.mlflow_in_memory import URI, MlflowInMemory, connected
from tests.pipeline.predict_videos.trained import MODEL, film, plan_of, register, score, train
from tests.pipeline.shelf import RUN, dataset_clip, manifest_of, plan_result
from tests.records import some

pytestmark = pytest.mark.slow

INTERVALS = "video,start_seconds,stop_seconds,verb,noun\nkitchen_01,0,6,put,meat\nkitchen_01,6,16,take,bag\nkitchen_02,2,9,put,meat\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, ffmpeg):
    """Two new films, one of a single frame, one that is none, and a table, which is no video."""
    made = tmp_path_factory.mktemp("new") / "new & <films>"
    for number in (1, 2):
        film(ffmpeg, made / f"kitchen_0{number}.mp4", 10 + number)
    film(ffmpeg, made / "one frame.mp4", 9, seconds=1 / 30)
    (made / "words.mp4").write_text("no video")
    (made / "intervals.csv").write_text(INTERVALS)
    return made


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, ffmpeg):
    """The films that the network was trained on."""
    return tmp_path_factory.mktemp("learnt")


@pytest.fixture(scope="module")
def predicted(tmp_path_factory, ffmpeg, folder, learnt):
    """A store in which the folder was predicted, and the report of that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "MIN_DIVERGENCE", 0)  # untrained networks hardly differ
        patch.setenv("RETAKE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        mlflow, bench = MlflowInMemory(), Bench()
        connected(mlflow, patch)
        train(bench, ffmpeg, learnt)
        register(mlflow, bench.store)
        report = bench.run("predict", videos=[str(folder)], model=MODEL, crops=1, num_to_label=3)
        return bench.store, report, mlflow


@pytest.fixture
def report(predicted):
    return predicted[1]


@pytest.fixture
def films(folder):
    """The two new films of 16 s, by their content."""
    return {hash_of(path): path for path in sorted(folder.glob("kitchen*"))}


@pytest.fixture
def bench(predicted, mlflow, machine):
    """A store of its own, in which the folder was predicted."""
    made = Bench(predicted[0].copy())
    register(mlflow, made.store)
    return made


def of_videos(bench, step):
    return lambda *videos, **options: bench.run(step, videos=list(map(str, videos)), **{"model": MODEL, "crops": 1, **options})


@pytest.fixture
def predict(bench):
    return of_videos(bench, "predict")


@pytest.fixture
def decide(bench):
    return of_videos(bench, "predict_plan")


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(data):
    return list(csv.DictReader(data.decode().splitlines()))


def table(store, uri):
    return rows_of(store.read_bytes(uri))


def dataset_of(bench):
    """The dataset that the network was trained on, and the address of its manifest."""
    uri = f"{bench.store.read(f'{STORE}/datasets/result.json', DatasetResult).dataset_uri}manifest.json"
    return bench.store.read(uri, Manifest), uri


def gathered(bench):
    """The labels of all clips, as they are now."""
    bench.run("label")
    return bench.store.read(f"{LABELS}labels.json", LabelsFile)


def annotate(bench, name, *lines):
    bench.store.write_bytes(f"{STORE}/annotations/{name}.csv", "\n".join(lines).encode())


def page_of(bench, report):
    return bench.store.read_bytes(report.page_uri).decode()


def trained_on(bench):
    """The videos of the training split, by content and by name."""
    splits = read_split_csv(bench.store.read_bytes(f"{STORE}/datasets/split.csv"))
    return {clip.video: clip.names[0] for clip in dataset_of(bench)[0].clips if splits[clip.video] == "train"}


def test_a_film_whose_recording_was_trained_on_under_another_name_is_refused(bench, decide, films):
    first, _ = films
    known = next(iter(trained_on(bench)))
    uids = {own.clip.video: own.clip.uid for own in gathered(bench).clips if own.clip.index == 0}
    annotate(bench, "source", "uid,verb,noun,source", *(f"{uids[video]},put,meat,kitchen" for video in (known, first)))
    bench.run("label")
    plan = decide(*films.values(), against="none")
    assert (plan.num_videos, [bad.reason for bad in plan.set_aside]) == (1, ["it was trained on; allow_trained predicts it anyway"])


def test_a_folder_is_predicted_and_bad_files_cost_themselves(bench, report, predicted):
    assert (report.num_videos, report.num_clips) == (2, 4)
    reasons = {bad.name: bad.reason for bad in report.first_set_aside}
    assert "shorter than the minimum of 2 s" in reasons["one frame.mp4"]
    assert "not a video" in reasons["words.mp4"]
    rows = table(bench.store, report.table_uri)
    assert len(rows) == 4 * 2 * 5
    by_clip = {}
    for row in rows:
        by_clip.setdefault((row["uid"], row["network"]), []).append(int(row["rank"]))
    assert list(by_clip.values()) == [[1, 2, 3, 4, 5]] * 8
    assert {network for _, network in by_clip} == {"retake-tsn version 1", "baseline"}
    assert {(row["start_seconds"], row["stop_seconds"]) for row in rows} == {("0.0", "8.0"), ("8.0", "16.0")}
    listed = table(bench.store, report.to_label_uri)
    assert len(listed) == 3
    assert all("less similar to the training clips" in row["reason"] for row in listed)
    page = page_of(bench, report)
    assert page.count("data:video/mp4") == 4, "the clips that differ"
    assert page.count("data:image/jpeg") == len(set(re.findall(r'class="thumb (t\d+)"', page))) == 4
    for network in ("retake-tsn version 1", "baseline"):
        assert f"{network}: not calibrated" in page
    run = predicted[2].named(plan_of(bench, report).key)
    assert (run.info.status, run.data.metrics["action_agreement"]) == ("FINISHED", report.action_agreement)
    assert run.info.run_name == "retake-tsn version 1 · 2 videos"
    assert {"report.html", "predictions.csv", "to_label.csv"} <= run.artifacts.keys()
    (summed,) = bench.store.read(Layout(STORE).status.predictions).predictions
    assert (summed.model, summed.num_videos, summed.num_clips, summed.num_to_label) == ("retake-tsn version 1", 2, 4, 3)
    assert summed.unsure_share == 1, "untrained networks spread their answers"
    assert summed.unlike == report.shift
    suggested = read_suggestions(bench.store, plan_of(bench, report).prediction_uri)
    assert list(suggested.reasons) == [row["uid"] for row in listed]
    best = {row["uid"]: row["action"] for row in rows if (row["network"], row["rank"]) == (plan_of(bench, report).model.label, "1")}
    assert {uid: action_name(actions[0].verb, actions[0].noun) for uid, actions in suggested.by_clip.items()} == best
    assert report.report_url == f"{URI}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/report.html"


def test_films_that_lie_far_from_the_training_clips_are_named(bench, report):
    assert report.shift.startswith("cannot tell whether it is like the training clips")
    prediction = Prediction(plan_of(bench, report).prediction_uri)
    near = tuple(ReferenceSource(source=str(number), split="test", distances=(0, 0)) for number in range(8))
    known = bench.store.read(prediction.known)
    bench.store.write(prediction.known, known.model_copy(update={"reference": near}))
    bench.store.remove(prediction.report.uri)
    again = bench.run("predict_report", plan=f"{prediction.folder_uri}plan/")
    assert again.shift.startswith("unlike the training clips (p = 0.022). 4 of 4 clips of 2 source videos lie further")
    assert again.shift in html.unescape(page_of(bench, again))
    assert [row["num_far"] for row in table(bench.store, prediction.report.file("shift.csv"))] == ["2", "2"]


def test_with_a_stride_it_says_when_an_action_happens(bench, report, predict, folder, tmp_path):
    result = predict(folder, stride_seconds=2, interval_precision=0.5, to=tmp_path)
    plan = plan_of(bench, result)
    assert plan.key != plan_of(bench, report).key
    rows = rows_of((tmp_path / "intervals.csv").read_bytes())
    assert sum(map(len, read_suggestions(bench.store, plan.prediction_uri).intervals.values())) == result.num_intervals
    assert result.num_intervals == sum(row["network"] == plan.model.label for row in rows)
    assert f"reports {count(result.num_intervals, 'interval')} of 2 videos" in in_words(result, bench.store)[0]
    for role, network in plan.predictors.items():
        assert {row["video"] for row in rows if row["network"] == network.label} == {"kitchen_01.mp4", "kitchen_02.mp4"}
        assert len(json.loads((tmp_path / f"intervals.{role}.json").read_text())["results"]) == 2
        assert len(list((tmp_path / "tracks").glob(f"*.{role}.intervals.vtt"))) == 2
    assert "Yellow lines, marked <em>when</em>, show intervals from windows every 2 s" in (tmp_path / "report.html").read_text()
    assert table(bench.store, result.table_uri) == table(bench.store, report.table_uri), "clips are predicted as before"
    scores = rows_of((tmp_path / "when.csv").read_bytes())
    assert {row["num_labelled"] for row in scores if row["class"] == "(mean of classes)"} == {"3"}, "the table beside the films"
    assert {row["network"] for row in scores} == {network.label for network in plan.predictors.values()} | {"always guessing"}
    assert not list(bench.store.list(f"{STORE}/annotations/"))


def test_where_val_has_answers_temperatures_and_a_threshold_are_fitted_and_probabilities_are_those_of_the_kept_logits(
    bench, predict, folder, tmp_path, caplog
):
    caplog.set_level("INFO", "retake")
    training = bench.store.read(f"{RUN}decisions/d/plan/result.json", PlanResult)
    for model in ("fine-tuned", "baseline"):
        score(bench.store, training, 200, model)
    result = predict(folder, stride_seconds=2, interval_precision=0.55, to=tmp_path)
    plan = plan_of(bench, result)
    intervals = rows_of((tmp_path / "intervals.csv").read_bytes())
    for network in plan.predictors.values():
        assert network.is_calibrated
        assert f"intervals of {network.label}: {network.interval_words}" in caplog.messages
        own = [float(row["probability"]) for row in intervals if row["network"] == network.label]
        assert all(probability >= network.interval_threshold - 1e-6 for probability in own)
    rows = table(bench.store, result.table_uri)
    (uri, _) = (file.uri for file in bench.store.list(f"{plan.prediction_uri}scored/") if file.name == "clips.parquet")
    bench.store.read_file(uri, tmp_path / "clips.parquet")
    (clips,) = read_scored(tmp_path / "clips.parquet")
    for role, network in plan.predictors.items():
        temperatures = network.verb_temperature, network.noun_temperature
        for head, temperature, logits in zip(("verb", "noun"), temperatures, clips.logits[role], strict=True):
            for uid, likely in zip(clips.uids, softmax(logits.astype(np.float64) / temperature, axis=1), strict=True):
                told = [float(row[f"{head}_probability"]) for row in rows if (row["uid"], row["network"]) == (uid, network.label)]
                assert told == pytest.approx(sorted(likely)[:-6:-1], abs=1e-6)


def test_only_actions_of_training_clips_are_predicted_if_asked_for(bench, predict, folder):
    result = predict(folder, pairs="known", num_to_label=0)
    plan = plan_of(bench, result)
    clips = dataset_of(bench)[0].clips
    known = {(clip.verb_class, clip.noun_class) for clip in clips if clip.split == "train"}
    assert (set(plan.model.actions), plan.against.actions) == (known, ())
    rows = [row for row in table(bench.store, result.table_uri) if row["network"] == plan.model.label and float(row["action_probability"])]
    assert rows
    assert {(int(row["action_verb_class"]), int(row["action_noun_class"])) for row in rows} <= known


def test_a_prediction_labels_nothing(bench, predict, learnt, ffmpeg, tmp_path):
    videos = trained_on(bench)
    copied = next(path for path in sorted(learnt.rglob("*.mp4")) if hash_of(path) in videos)
    folder = tmp_path / "put bag"
    # Another content under the name of a video that is labelled by its name, in a folder that would label it.
    film(ffmpeg, folder / copied.name, 77, seconds=8)
    shutil.copy(copied, folder / "copy.mp4")

    def labelled():
        file = gathered(bench)
        return {clip.clip.uid: clip for clip in file.clips if clip.action}, file.problems, file.changes

    before = labelled()
    assert before[0]
    result = predict(folder, against="none")
    assert result.num_videos == 1
    assert {bad.name: "it was trained on" in bad.reason for bad in result.first_set_aside} == {"copy.mp4": True}
    assert labelled() == before


def test_clips_of_measured_videos_and_clips_that_somebody_was_unsure_of_are_not_to_be_labelled(bench, predict, films, folder):
    seen, measured = films
    unsure = {"video": seen, "uid": clip_uid(seen, 0, 8), "start_seconds": 0, "stop_seconds": 8, "answer": "unsure"}
    append_to_log(bench.store, STORE, ClipStatement(token="t" * 8, by="ada", at="2026-01-01T00:00:00Z", **unsure), 0)
    uri = Layout(STORE).split_file
    splits = bench.store.read_bytes(uri)
    bench.store.write_bytes(uri, write_split_csv(read_split_csv(splits) | {measured: "test"}, {}, read_drawn(splits)))
    result = predict(folder, against="none")
    assert [row["uid"] for row in table(bench.store, result.to_label_uri)] == [clip_uid(seen, 8, 16)]
    assert result.num_to_label == 1


def test_a_second_run_leads_to_the_page_and_copies_what_is_there(bench, report, predict, folder, tmp_path, caplog):
    caplog.set_level("INFO", "retake")
    before = dict(bench.store.objects)
    assert predict(folder, num_to_label=3, to=tmp_path / "out") == report
    assert f"predicted by these networks before: {report.report_url}" in caplog.text
    assert bench.store.objects == before
    copied = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"report.html", "predictions.csv", "predictions.parquet", "to_label.csv"} <= copied
    assert sorted(path.partition("/")[0] for path in copied if "/" in path) == ["tracks"] * 4


def test_videos_that_were_trained_on_are_refused_by_name_unless_they_are_allowed(bench, predict, decide, learnt, folder):
    names = set(trained_on(bench).values())
    plan = decide(learnt, folder, folder / "nowhere.mp4", against="none")
    assert {bad.name for bad in plan.set_aside if "it was trained on" in bad.reason} == names != set()
    assert "does not exist" in next(bad.reason for bad in plan.set_aside if "nowhere" in bad.name)
    assert plan.trained_on == ()
    with pytest.raises(BadInput) as refused:
        decide(*(learnt / name for name in names))
    assert "nothing to predict: " in str(refused.value)
    assert all(f"{name.split('/')[-1]}: it was trained on" in str(refused.value) for name in names)
    result = predict(learnt, allow_trained=True, against="none")
    assert (result.num_videos, result.num_clips, result.num_to_label) == (3, 6, 0)
    assert len(plan_of(bench, result).trained_on) == len(names)
    assert "Accuracy on labelled clips" in page_of(bench, result)


def test_of_two_networks_the_plan_says_which_was_trained_on_a_video(bench, decide, learnt, films, mlflow):
    taught = set(trained_on(bench))
    assert {role: set(videos) for role, videos in decide(learnt, allow_trained=True).trained_by.items()} == {"model": taught}
    first, _ = films
    run = f"{STORE}/runs/456789abcdef0123/"
    other = plan_result(run_uri=run, dataset_uri=f"{STORE}/datasets/other/")
    bench.store.write(f"{run}decisions/d/plan/result.json", other)
    bench.store.write(f"{other.dataset_uri}manifest.json", manifest_of([dataset_clip(video=first, source=first)]))
    uri = f"{STORE}/pretrained/networks/start.ckpt"
    tags = {"checkpoint_uri": uri, "checkpoint_sha256": bench.store.stat(uri).etag, "run_key": "456789abcdef0123"}
    register(mlflow, bench.store, "other", **{f"retake.{name}": value for name, value in tags.items()})
    plan = decide(*films.values(), against="models:/other/1", allow_trained=True)
    assert (plan.trained_on, plan.trained_by) == ((first,), {"against": (first,)})


def test_a_prediction_keeps_the_name_that_it_had_with_an_option_that_was_removed(decide, folder, monkeypatch):
    named = []
    monkeypatch.setattr(predict_plan, "content_key", lambda values: named.append(values) or content_key(values))
    key = decide(folder).key
    assert (key, named[-1]["predict"]) == (content_key(named[-1]), {"num_to_label": 50, "preview": False})


def test_without_videos_every_one_that_was_not_trained_on_is_taken(bench, decide):
    plan = decide(against="none")
    assert plan.num_videos == len(list(bench.store.folders(f"{STORE}/videos/"))) - len(trained_on(bench)) == 4
    assert (plan.missing, plan.against) == ((), None)


def test_a_video_that_came_into_train_after_the_training_is_predicted_and_its_new_classes_have_names(bench, predict, films, learnt):
    """The split file names the videos of later datasets, too, which this network has never seen."""
    new, other = films
    uid = next(own.clip.uid for own in gathered(bench).clips if own.clip.video == new)
    annotate(bench, "new", "uid,verb,noun", f"{uid},walk,bunny")
    bench.run("label")
    splits = bench.store.read_bytes(f"{STORE}/datasets/split.csv").decode()
    bench.store.write_bytes(f"{STORE}/datasets/split.csv", f"{splits}{new},train\n{other},val\n".encode())
    result = predict(*films.values(), against="none", num_to_label=0)
    plan = plan_of(bench, result)
    assert (result.num_videos, result.num_set_aside, plan.trained_on, plan.measured_on) == (2, 0, (), ())
    assert "walk bunny" in page_of(bench, result)
    assert "verb-" not in page_of(bench, result)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("models:/retake-tsn/99", "models:/retake-tsn/99 does not exist; retake-tsn has the versions 1 and the aliases challenger (1)"),
        ("models:/retake-tsn@champion", "no version is champion yet, models:/retake-tsn@challenger is the latest"),
        ("models:/nobody/1", "there is no registered model nobody; MLflow has: retake-tsn"),
    ],
)
def test_a_model_that_does_not_exist_is_one_line_that_names_those_that_do(decide, folder, reference, told):
    with pytest.raises(BadInput) as refused:
        decide(folder, model=reference)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    plan = decide(folder, against=reference)
    assert told in plan.missing[0]
    assert plan.against is None


def test_a_baseline_that_is_gone_is_named_and_a_clip_that_is_damaged_costs_itself(bench, report, predict, folder):
    bench.store.remove(plan_of(bench, report).against.checkpoint_uri)
    video = hash_of(folder / "kitchen_01.mp4")
    bench.store.write_bytes(next(uri for uri in bench.store.objects if f"/clips/{video}/" in uri and uri.endswith("/0000.mp4")), b"?")
    result = predict(folder, num_to_label=1)
    assert (result.num_videos, result.num_clips, result.action_agreement) == (2, 3, None)
    assert "was never fetched, or is gone" in result.missing[0]
    assert "0-8 s" in " ".join(bad.name for bad in result.first_set_aside)
    assert "Missing:" in page_of(bench, result)


def test_two_networks_that_are_one_are_refused(decide, folder):
    with pytest.raises(BadConfiguration, match="is retake-tsn version 1 itself"):
        decide(folder, against="models:/retake-tsn/1")


def test_a_recording_is_one_source_whether_its_clips_have_labels_or_not(bench, decide, folder, films):
    clips = [labelled.clip for labelled in gathered(bench).clips]
    firsts = [clip.uid for clip in clips if clip.video in films and clip.index == 0]
    annotate(bench, "half", "uid,verb,noun,source", *(f"{uid},put,meat,kitchen" for uid in firsts))
    bench.run("label")
    plan = decide(folder)
    assert plan.sources == dict.fromkeys(films, "kitchen")
    known = bench.store.read(f"{plan.prediction_uri}labels.json", KnownLabels).labels
    assert [label.uid for label in known] == sorted(firsts)


def test_a_clip_labelled_with_an_action_does_not_say_when_it_happens(bench, decide, films):
    """Of each film the first clip is labelled with an action and the second as nothing; the second film has an interval in the first clip."""
    first, second = films
    clips = [each for each in gathered(bench).clips if each.clip.video in films]
    names = {each.clip.video: each.names[0] for each in clips}
    of_clips = ["uid,verb,noun", *(f"{each.clip.uid},{('put,meat', 'nothing,')[each.clip.index]}" for each in clips)]

    def covered():
        labels = bench.store.read(Prediction(decide(*films.values(), stride_seconds=2).prediction_uri).labels)
        return {video: [(part.start_seconds, part.stop_seconds) for part in own] for video, own in labels.covered.items()}

    annotate(bench, "clips", *of_clips)
    annotate(bench, "intervals", "video,start_seconds,stop_seconds,verb,noun", f"{names[second]},1,5,put,meat")
    assert covered() == {first: [(8, 16)], second: [(1, 5), (8, 16)]}
    annotate(bench, "marks", "video,fully_labelled", f"{names[first]},yes", f"{names[second]},yes")
    assert covered() == {first: [(8, 864_000)], second: [(0, 864_000)]}
    annotate(bench, "intervals", "video,start_seconds,stop_seconds,verb,noun", f"{names[second]},1,5,take,bag")
    annotate(bench, "clips", *of_clips)
    assert covered() == {first: [(8, 864_000)], second: [(8, 864_000)]}, "an interval of another action"


def test_new_chapters_of_a_recording_are_one_source_that_of_a_known_chapter(bench, decide, films, learnt, tmp_path):
    new = list(films)
    for number, path in enumerate(films.values(), 2):
        shutil.copy(path, tmp_path / f"GX0{number}0123.MP4")
    assert decide(tmp_path).sources == {new[1]: new[0]}
    video, name = next(iter(trained_on(bench).items()))
    shutil.copy(learnt / name, tmp_path / "GX010123.MP4")
    assert decide(tmp_path, allow_trained=True).sources == dict.fromkeys(new, video)
    with pytest.raises(BadInput, match="it was trained on"):
        decide(tmp_path)


def test_videos_of_a_training_that_the_network_was_made_from_are_refused_too(bench, decide, films):
    first, _ = films
    plan = bench.store.read(f"{RUN}decisions/d/plan/result.json", PlanResult)
    weights = plan.weights.model_copy(update={"weights": Weights.TRAINED, "uri": f"{STORE}/runs/456789abcdef0123/train/best.pt"})
    bench.store.write(f"{RUN}decisions/d/plan/result.json", plan.model_copy(update={"weights": weights}))
    earlier = plan_result(run_uri=f"{STORE}/runs/456789abcdef0123/", dataset_uri=f"{STORE}/datasets/earlier/")
    bench.store.write(f"{STORE}/runs/456789abcdef0123/decisions/d/plan/result.json", earlier)
    bench.store.write(f"{earlier.dataset_uri}manifest.json", manifest_of([dataset_clip(video=first, source=first)]))
    plan = decide(*films.values(), against="none")
    assert (plan.num_videos, [bad.reason for bad in plan.set_aside]) == (1, ["it was trained on; allow_trained predicts it anyway"])


def test_a_video_that_taught_a_student_is_refused_once_it_is_in_train(bench, decide, films):
    first, _ = films
    plan = bench.store.read(f"{RUN}decisions/d/plan/result.json", PlanResult)
    bench.store.write(f"{RUN}decisions/d/plan/result.json", plan.model_copy(update={"teacher": some(Teacher)}))
    bench.store.write(Run(RUN).train.unlabelled, UnlabelledClips(clips=(clip_record(first),)))
    assert decide(*films.values(), against="none").num_videos == 2
    split = f"{STORE}/datasets/split.csv"
    bench.store.write_bytes(split, bench.store.read_bytes(split) + f"{first},train\n".encode())
    assert decide(*films.values(), against="none").num_videos == 1


def test_where_an_earlier_training_is_gone_the_plan_says_so(bench, decide, films):
    plan = bench.store.read(f"{RUN}decisions/d/plan/result.json", PlanResult)
    weights = plan.weights.model_copy(update={"weights": Weights.TRAINED, "uri": f"{STORE}/runs/456789abcdef0123/train/best.pt"})
    bench.store.write(f"{RUN}decisions/d/plan/result.json", plan.model_copy(update={"weights": weights}))
    assert decide(*films.values(), against="none").missing == ()
    bench.store.remove(f"{STORE}/datasets/split.csv")
    (checked,) = decide(*films.values(), against="none").missing
    assert checked.startswith("whether these videos were trained on could not be checked in full")


def test_where_nothing_tells_what_was_trained_on_the_plan_says_so(bench, decide, learnt, folder):
    assert decide(folder).missing == ()
    dataset = dataset_of(bench)[1].removesuffix("manifest.json")
    bench.store.remove(f"{STORE}/runs/0123/decisions/d/plan/result.json")
    gone = "the dataset that retake-tsn version 1 was trained on is not there to tell how its clips were cut; these videos are cut"
    assert decide(folder, against="none").missing == (f"{gone} as the clips of {dataset}",)
    name = next(iter(trained_on(bench).values()))
    with pytest.raises(BadInput, match="it is in train, and a network's training videos are not known; allow_trained predicts it anyway"):
        decide(learnt / name, against="none")
    for name in ("result.json", "split.csv"):
        bench.store.remove(f"{STORE}/datasets/{name}")
    cut, checked = decide(folder, against="none").missing
    assert cut == f"{gone} by the defaults of ingest_videos"
    assert f"could not be checked: {STORE} has neither the dataset that retake-tsn version 1 was trained on nor a split file" in checked


def test_a_model_of_which_nothing_is_known_is_not_said_to_be_of_the_other_networks_dataset(bench, decide, folder, mlflow):
    register(mlflow, bench.store, "stranger", **{"retake.run_key": "gone", "retake.checkpoint_sha256": "0" * 64})
    known = decide(folder, against="models:/stranger/1")
    assert known.model_dataset_uri is not None
    assert (known.dataset_uris, known.missing) == ((known.model_dataset_uri,), ())
    plan = decide(folder, model="models:/stranger/1", against=MODEL)
    assert (plan.run_uri, plan.model_dataset_uri, plan.dataset_uris) == (None, None, known.dataset_uris)
    assert plan.segment == known.segment
    assert plan.missing[0].endswith(f"these videos are cut as the clips of {known.model_dataset_uri}")
    seen = bench.run("predict_known", plan=f"{plan.prediction_uri}plan/")
    assert (seen.num_clips, seen.features_uri) == (0, None)


def test_a_batch_that_failed_is_left_out_by_name_until_it_succeeds(bench, decide, films):
    asked = {"against": "none", "num_to_label": 1}
    plan = decide(*films.values(), **asked)
    first, second = plan.batches
    place = {"plan": f"{plan.prediction_uri}plan/"}
    bench.run("predict_known", **place)
    predicted = bench.run("predict_batch", **place, batch=first.uri)
    part = bench.run("predict_report", **place)
    assert (part.num_videos, part.num_failed_batches) == (len(predicted.videos), 1)
    failed = [bad.name for bad in part.first_set_aside if bad.reason == "its task failed; see predict's log"]
    assert failed == ["kitchen_02.mp4"]
    assert "kitchen_02.mp4" in page_of(bench, part)
    assert bench.run("predict_report", **place) == part
    assert decide(*films.values(), **asked) == plan
    bench.run("predict_batch", **place, batch=second.uri)
    whole = bench.run("predict_report", **place)
    assert (whole.num_videos, whole.num_failed_batches) == (2, 0)
    assert f"on {whole.num_clips} clips</dd>" in page_of(bench, whole)
    assert whole.mlflow_run_url == part.mlflow_run_url
    with pytest.raises(NothingToDo, match="predicted by these networks before"):
        decide(*films.values(), **asked)


def test_a_network_that_was_trained_around_intervals_predicts_the_grid(bench, decide, folder):
    own, place = dataset_of(bench)
    changed = own.model_copy(update={"segment": own.segment.model_copy(update={"cut": "intervals", "fps": 25})})
    bench.store.write(place, changed)
    assert decide(folder).segment == changed.segment.on_grid
