"""Labels from other tools, into a real store and out of it again."""

import json
import subprocess

import pytest

from tasks.contracts.ingest_videos import IngestArguments
from tasks.contracts.labels import LabelsExportArguments, LabelsImportArguments
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.media.labelled_intervals import given_labels, intervals_to_export
from tasks.results.video import Inventory
from tasks.steps.ingest_videos import ingest
from tasks.steps.labels import export_labels, import_labels
from tasks.store.layout import Layout
from tests.integration.workshop import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STORE = "s3://retake-label-files"
TABLE = (
    "video,video_sha256,uid,start_seconds,stop_seconds,network,rank,verb,verb_class,verb_probability,action,action_probability\n"
    "long.mp4,{0},x,0,8,ours,1,put,1,0.9,put meat,0.5\nlong.mp4,{0},x,0,8,ours,2,put,1,0.9,put bag,0.2\n"
    "long.mp4,{0},x,0,8,other,1,put,1,0.9,take bag,0.5\n"
)


def studio(video, start, end, label, **data):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": 1, "data": {"video": video, **data}, "annotations": [{"id": 1, "result": [{"value": value}]}]}


@pytest.fixture(scope="module")
def videos(tmp_path_factory, ffmpeg):
    """A video of 16 s with an export of Label Studio and other files beside it."""
    folder = tmp_path_factory.mktemp("videos")
    source = ["-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=16", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *source, folder / "long.mp4"], check=True)
    (folder / "project-1.json").write_text(json.dumps([studio("/data/upload/1/abcd1234-long.mp4", 1, 192, "put meat")]))
    (folder / "package.json").write_text('{"name": "x"}')
    (folder / "README.txt").write_text("My videos.\n")
    return folder


@pytest.fixture(scope="module")
def labelled(workshop, videos):
    """The store, in which the videos were taken in and labelled."""
    taken = workshop.ingest(STORE, videos)
    assert taken["num_clips"] == 2
    workshop.run("label", store=STORE)
    return workshop.store


def actions(store):
    return [clip.action for clip in store.read(Layout(STORE).labels(RECIPE).clips).clips]


def test_files_beside_videos_are_told_apart_by_their_content(workshop, labelled):
    assert actions(labelled) == ["put meat", None]
    found = labelled.read(f"{STORE}/ingests/test/inventory.json", Inventory)
    reasons = {file.name: file.reason for file in found.files}
    assert reasons["project-1.json"] is None
    assert reasons["package.json"].startswith("no annotation file: it is JSON of no known tool")
    assert reasons["README.txt"].startswith("no annotation file: it begins with 'My videos.', which is not a known header")


def test_what_an_older_version_set_aside_as_no_video_is_read_again(workshop, videos):
    store = "s3://retake-label-files-older"
    workshop.store.ensure_bucket(store)
    place = f"{store}/inbox/project-1.json"
    workshop.store.write_bytes(place, (videos / "project-1.json").read_bytes())
    etag = workshop.store.stat(place).etag
    seen = {"name": "project-1.json", "etag": etag, "size_bytes": 1, "video": None, "reason": "no video"}
    workshop.store.write(f"{store}/ingests/test/inventory.json", Inventory.model_validate({"files": [seen]}))
    with pytest.raises(NothingToDo, match="annotation files wait for videos"):
        ingest.run(IngestArguments(store=store, out=f"{store}/ingests/test/"), workshop.store)
    assert next(workshop.store.list(f"{store}/annotations/")).name.startswith("project-1-")


def test_an_import_says_how_each_file_is_read(workshop, labelled, tmp_path):
    good, other, bad = tmp_path / "more.json", tmp_path / "events.tsv", tmp_path / "bad.xml"
    tasks = [studio("long.mp4", 201, 400, "Take bag"), studio("gone.mp4", 1, 2, "put meat"), studio("long.mp4", 9, 2, "put meat")]
    good.write_text(json.dumps(tasks))
    other.write_text("Behavior\tStart (s)\tStop (s)\tMedia file\nwave\t100\t101\tlong.mp4\n")
    bad.write_text("<!DOCTYPE x><annotations/>")
    command = [
        workshop.environment["RETAKE_PYTHON"],
        "-m",
        "tasks",
        "labels",
        "import",
        good,
        other,
        bad,
        "--frame-rate=25",
        f"--store={STORE}",
    ]
    refused = subprocess.run(command, env=workshop.environment, capture_output=True, text=True)
    assert refused.returncode == BadConfiguration.exit_code
    assert "events.tsv is no JSON of Label Studio" in refused.stderr
    done = subprocess.run([part for part in command if part != "--frame-rate=25"], env=workshop.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, third = json.loads(done.stdout)["files"]
    assert (first["layout"], first["num_labels"], first["num_without_video"], first["num_refused"]) == ("Label Studio JSON", 1, 1, 1)
    assert first["first_without_video"] == ["gone.mp4"]
    assert first["first_refused"][0]["item"] == "task 1, result 1"
    assert (second["layout"], second["num_labels"], second["num_refused"]) == ("BORIS", 0, 1)
    assert "begins at 100 s" in second["first_refused"][0]["reason"]
    assert (third["layout"], third["uri"]) == ("", None)
    assert "more.json: read as Label Studio JSON: 1 label" in done.stderr
    assert "more.json: no frame rate for 2 labels: 24 assumed; `labels import --frame-rate` states another" in done.stderr
    assert "no video in the store for 1 label: 'gone.mp4'" in done.stderr
    assert "bad.xml: not taken in: has a document type" in done.stderr


def test_the_frame_rate_of_a_project_is_kept_with_its_labels(workshop, labelled, tmp_path):
    file = tmp_path / "at25.json"
    file.write_text(json.dumps([studio("long.mp4", 201, 400, "take bag")]))
    (taken,) = import_labels.run(LabelsImportArguments(files=[file], frame_rate=25, store=STORE), labelled).files
    assert json.loads(labelled.read_bytes(taken.uri))[0]["data"]["fps"] == 25
    workshop.run("label", store=STORE)
    assert actions(labelled) == ["put meat", "take bag"]


def test_files_that_cannot_be_read_at_all_are_bad_input(labelled, tmp_path):
    for content, reason in ((b"{", "is not JSON"), (None, "No such file")):
        path = tmp_path / f"x{reason}.json"
        if content:
            path.write_bytes(content)
        with pytest.raises(BadInput, match=reason):
            import_labels.run(LabelsImportArguments(files=[path], store=STORE), labelled)
    with pytest.raises(BadConfiguration, match="name one or more"):
        import_labels.run(LabelsImportArguments(files=[], store=STORE), labelled)


@pytest.fixture(scope="module")
def overlapping(workshop, labelled, tmp_path_factory):
    """The store with intervals that overlap, that no clip begins or ends with, and that label none."""
    file = tmp_path_factory.mktemp("more") / "intervals.csv"
    file.write_text(
        "video,start_seconds,stop_seconds,verb,noun\nlong.mp4,3.6,11,take,bag\nlong.mp4,5,9,put,meat\nlong.mp4,12.2,12.88,open,door\n"
    )
    import_labels.run(LabelsImportArguments(files=[file], store=STORE), labelled)
    workshop.run("label", store=STORE)
    return labelled


def spans(store, where):
    """List the intervals that lie in the video of 16 s."""
    intervals = intervals_to_export(store, where, given_labels(store, where))
    (video,) = intervals.by_video
    found = sorted((round(one.start_seconds, 6), round(one.stop_seconds, 6), one.text) for one in intervals.spans(video))
    return [one for one in found if one[0] < 16]


@pytest.mark.parametrize("name", ["label-studio", "epic", "activitynet", "csv"])
def test_an_export_brings_the_same_intervals_and_labels_to_another_store(workshop, overlapping, videos, tmp_path, name):
    before = spans(overlapping, STORE)
    assert {(3.6, 11, "take bag"), (5, 9, "put meat"), (12.2, 12.88, "open door")} <= set(before)
    out = tmp_path / "export"
    result = export_labels.run(LabelsExportArguments(format=name, out=out, store=STORE), overlapping)
    assert result.num_labels == len(before)
    store = f"s3://retake-label-files-{name}"
    workshop.ingest(store, videos / "long.mp4")
    import_labels.run(LabelsImportArguments(files=[out], store=store), overlapping)
    workshop.run("label", store=store)
    assert spans(overlapping, store) == before
    assert [clip.action for clip in overlapping.read(Layout(store).labels(RECIPE).clips).clips] == actions(overlapping)


def test_a_prediction_is_exported_as_pre_annotations(labelled, tmp_path):
    (clip, _) = labelled.read(Layout(STORE).labels(RECIPE).clips).clips
    report = Layout(STORE).prediction("0123456789abcdef").report
    labelled.write_bytes(report.table, TABLE.format(clip.clip.video).encode())
    labelled.write_bytes(report.uri, b"{}")
    out = tmp_path / "tasks.json"
    for key in (None, "0123456789abcdef"):
        result = export_labels.run(LabelsExportArguments(format="label-studio", out=out, store=STORE, prediction=key), labelled)
        assert result.num_predictions == 1
        (task,) = json.loads(out.read_bytes())
        (answer,) = task["predictions"][0]["result"]
        assert (answer["value"]["timelinelabels"], answer["score"]) == (["put meat"], 0.5)
    with pytest.raises(BadInput, match="no finished prediction"):
        export_labels.run(LabelsExportArguments(format="label-studio", out=out, store=STORE, prediction="f" * 16), labelled)
    with pytest.raises(BadConfiguration, match="has no pre-annotations"):
        export_labels.run(LabelsExportArguments(format="csv", out=out, store=STORE, prediction="f" * 16), labelled)
    with pytest.raises(BadConfiguration, match="name a file that can be written"):
        export_labels.run(LabelsExportArguments(format="csv", out=tmp_path / "no" / "x", store=STORE), labelled)


def test_without_labels_there_is_nothing_to_export(workshop, tmp_path):
    workshop.store.ensure_bucket("s3://retake-label-files-none")
    with pytest.raises(NothingToDo, match="no labels have been gathered"):
        export_labels.run(LabelsExportArguments(format="csv", out=tmp_path / "x", store="s3://retake-label-files-none"), workshop.store)
