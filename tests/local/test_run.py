"""The report at the end of a run, from results as the steps write them."""

import pytest

from tasks.local.airflow_api import RunRef, Task
from tasks.local.follow import FollowedRun
from tasks.local.run import REMEDY, ingested, report
from tasks.settings import form_path
from tasks.store.records.dataset import DatasetResult, LabelResult, Problem, ReadFolder
from tasks.store.records.decisions import CompareResult, DecideResult, ReportResult
from tasks.store.records.record import SetAside
from tasks.store.records.video import NUM_FIRST, IngestResult, SummaryResult, TakenFiles
from tests.judge.report.named import without_objects
from tests.judge.report.runs import metrics_of
from tests.pipeline.shelf import Shelf, weights_result
from tests.records import some

DECISION_URI = "s3://retake/runs/0123456789abcdef/decisions/fedcba9876543210/"
SUMMARY = some(
    SummaryResult,
    num_files=3,
    num_videos=2,
    num_unusable=1,
    num_clips=9,
    num_set_aside=1,
    num_warnings=0,
    first_set_aside=(SetAside(name="notes.mp4", reason="no video stream"),),
)
COMPARED = some(CompareResult, table_uri=f"{DECISION_URI}compare/comparison.txt", reason="0.60 beats 0.10")
DECIDED = some(
    DecideResult, model_name="retake-tsn", version=3, mlflow_run_url="http://mlflow/r", promoted=True, champion=3, reason="0.60 beats 0.10"
)
REPORTED = some(ReportResult, report_url="http://mlflow/r/artifacts/report.html", metrics_uri=f"{DECISION_URI}report/metrics.json")
RESULTS = {"compare": COMPARED, "report": REPORTED, "decide": DECIDED}


class Api:
    """Gives each step's result; a step that has none was skipped."""

    def __init__(self, results, plan_log=()):
        self.results = results
        self.plan_log = list(plan_log)

    def result(self, _, task):
        result = self.results.get(task.step)
        return result and result.model_dump(mode="json")

    def log_lines(self, *_):
        return self.plan_log

    def task_page(self, run, _):
        return f"http://airflow/dags/{run.dag_id}/runs/{run.run_id}"


def run(dag_id, **states):
    base = {"map_index": -1, "rendered_map_index": None, "try_number": 1, "start_date": None, "end_date": None}
    return FollowedRun(
        RunRef(dag_id=dag_id, run_id="r"), tuple(Task(task_id=f"group.{step}", state=state, **base) for step, state in states.items())
    )


INGESTED = run("ingest_videos", ingest="success", summarise="success")
TRAINED = run("retrain", weights="success", plan="success", compare="success", report="success", decide="success")
SKIPPED = run("retrain", plan="skipped", compare="skipped", report="skipped", decide="skipped")
TABLE = {
    f"{DECISION_URI}compare/comparison.txt": "| verb | 0.60 |",
    REPORTED.metrics_uri: metrics_of(without_objects(), champion_version=None),
}


def told(api, *runs, objects=TABLE):
    """The report of these runs, on a store that has these records and texts, by their address."""
    shelf = Shelf()
    for uri, content in objects.items():
        if isinstance(content, str):
            shelf.write_bytes(uri, content.encode())
        else:
            shelf.write(uri, content)
    return "\n".join(report(api, shelf, "s3://retake", runs))


def test_an_ingest_alone_ends_with_where_its_clips_are_labelled():
    next_step = "label the clips without a label: http://airflow/retake/label/?store=s3://retake; 20 new labels, or Build dataset there, start build_dataset and retrain"
    counts = "3 video files: 2 different videos, 1 set aside; 9 clips"
    told = list(ingested(Api({"summarise": SUMMARY}), INGESTED, "s3://retake"))
    assert told == [counts, "set aside: 1", "  notes.mp4: no video stream", next_step]
    assert list(ingested(Api({}), INGESTED, "s3://retake")) == ["nothing new", next_step]


def test_what_is_set_aside_besides_the_video_files_is_told_apart():
    api = Api({"summarise": SUMMARY.model_copy(update={"num_set_aside": 2})})
    lines = list(ingested(api, INGESTED, "s3://retake"))
    assert lines[:2] == [
        "3 video files: 2 different videos, 1 set aside; 9 clips",
        "set aside, annotation files and videos that could not be cut included: 2",
    ]


PREDICT = form_path("predict_videos", {"store": "s3://retake", "model": "models:/retake-tsn@champion"})


def test_a_training_ends_with_what_was_set_aside_its_table_and_its_model():
    api = Api({"summarise": SUMMARY, "weights": weights_result(chosen="auto: a probe, for no GPU"), **RESULTS})
    text = told(api, INGESTED, TRAINED)
    for part in (
        "3 video files: 2 different videos, 1 set aside; 9 clips",
        "notes.mp4: no video stream",
        "auto: a probe, for no GPU",
        "| verb | 0.60 |",
        "decision: promoted: 0.60 beats 0.10",
        "models:/retake-tsn/3, aliases none: http://mlflow/r?workflowType=machine_learning",
        "report: http://mlflow/r/artifacts/report.html",
        f"with models:/retake-tsn@champion. http://localhost:8080{PREDICT}",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((4, 3, 0), "4 video files: 3 different videos, 1 with the content of another"),
        ((4, 1, 2), "4 video files: 1 different video, 1 with the content of another, 2 set aside"),
        ((2, 2, None), "2 video files: 2 videos"),
    ],
    ids=["a copy", "all kinds", "an older record"],
)
def test_the_counts_of_files_add_up(counts, expected):
    assert TakenFiles(**dict(zip(("num_files", "num_videos", "num_unusable"), counts, strict=True))).in_words == expected


@pytest.mark.parametrize(("state", "is_named"), [("success", True), ("skipped", False)])
def test_a_learning_curve_that_is_being_drawn_is_named_with_how_to_end_it(state, is_named):
    drawing = run("retrain", weights="success", plan="success", report="success", learning_curve=state)
    text = told(Api(RESULTS), drawing)
    assert ("the learning curve is being drawn, and joins the report; `make status` shows it, `make cancel` ends it" in text) is is_named


def test_a_provisional_champion_is_called_so():
    results = RESULTS | {"decide": DECIDED.model_copy(update={"provisional": True})}
    assert "decision: promoted, provisional champion: 0.60" in told(Api(results), TRAINED)


def test_clips_without_a_label_and_lines_that_were_refused_are_named():
    labels = some(
        LabelResult,
        num_clips=9,
        num_labelled=7,
        num_problems=2,
        num_changes=0,
        first_problems=(Problem(file="labels.csv", line=3, reason="verb is empty"), Problem(file="old.csv", line=None, reason="is empty")),
        num_new_folders=1,
        first_new_folders=(ReadFolder(folder="wave", verb="wave", noun="(none)", is_new=True, num_clips=4),),
        num_recordings=1,
        first_recordings=(SetAside(name="GoPro 0123", reason="GX010123.MP4, GX020123.MP4: chapters"),),
        num_left_out=22,
        first_left_out=(SetAside(name="day 1/", reason="2 clips of 1 video: has a digit in its name, so it is not a label"),),
        num_hints=1,
        first_hints=("'yoghurt' 3 clips, 'yogurt' 5 clips: the same class? Say so in classes.csv",),
    )
    dataset = some(DatasetResult, num_unlabelled=2, warnings=("1 clip of val or test stay out",))
    built = run("build_dataset", label="success", dataset="success")
    api = Api({"summarise": SUMMARY, "label": labels, "dataset": dataset, **RESULTS})
    lines = told(api, INGESTED, built, TRAINED).splitlines()
    begun = lines.index("folders with new words that were read as labels: 1")
    assert lines[begun : begun + 13] == [
        "folders with new words that were read as labels: 1",
        "  wave/: verb 'wave', no object, 4 clips",
        "recordings of several files: 1",
        "  GoPro 0123: GX010123.MP4, GX020123.MP4: chapters",
        "'yoghurt' 3 clips, 'yogurt' 5 clips: the same class? Say so in classes.csv",
        "labels rejected: 2",
        "  labels.csv line 3: verb is empty",
        "  old.csv: is empty",
        "2 of 9 clips have no label; left out",
        "  day 1/: 2 clips of 1 video: has a digit in its name, so it is not a label",
        "  and 21 more; the log of `label` lists all",
        REMEDY,
        "1 clip of val or test stay out",
    ]


def test_without_labels_it_leads_to_the_page_label():
    labels = some(LabelResult, num_clips=22, num_labelled=0, labels_uri="s3://retake/labels/x/labels.json")
    built = run("build_dataset", label="success", split="skipped")
    assert told(Api({"label": labels}), INGESTED, built, objects={}).splitlines()[-3:] == [
        "nothing was trained: no clip has a label",
        "next:",
        "  Label the 22 clips without a label, or some of them. http://airflow/retake/label/?store=s3://retake",
    ]


def test_of_many_files_the_first_are_named_and_the_rest_counted():
    many = tuple(SetAside(name=f"{number:02}.mp4", reason="no video stream") for number in range(NUM_FIRST))
    set_aside = {"num_unusable": NUM_FIRST + 5, "num_set_aside": NUM_FIRST + 5, "first_set_aside": many}
    lines = told(Api({"summarise": SUMMARY.model_copy(update=set_aside)}), INGESTED, objects={}).splitlines()
    assert lines[1:3] == [f"set aside: {NUM_FIRST + 5}", "  00.mp4: no video stream"]
    assert lines[-1] == "  and 5 more; the log of `summarise` lists all"
    lines = told(Api({"ingest": some(IngestResult, **set_aside)}), INGESTED, objects={}).splitlines()
    assert (len(lines), lines[-1]) == (1 + 1 + NUM_FIRST + 1, "  and 5 more; the log of `ingest` lists all")


@pytest.mark.parametrize("kept", [True, False])
def test_a_training_that_was_done_before_shows_its_table_where_it_is_kept(kept):
    results = {f"{DECISION_URI}{step}/result.json": result for step, result in RESULTS.items()}
    objects = {**TABLE, **results} if kept else {}
    api = Api({}, ["python -m tasks plan", f"NothingToDo: trained before: {DECISION_URI}", "Task skipped"])
    text = told(api, INGESTED, SKIPPED, objects=objects)
    assert f"nothing was trained: trained before: {DECISION_URI}" in text
    assert ("| verb | 0.60 |" in text) == kept
    assert ("no longer in the store" in text) != kept
