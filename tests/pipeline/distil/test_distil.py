"""A student learns from a registered version, and is scored as any network.

It learns on clips with and without a label, of no film in val.
"""

import pytest

from tasks.errors import BadInput
from tasks.keys import recipe_of
from tasks.options import EvaluateOptions, LabelOptions, SegmentOptions
from tasks.options.base import STORED
from tasks.pipeline._trained import find_trained, taught_on
from tasks.pipeline.distil import _student
from tasks.store.layout import Layout
from tasks.store.records.dataset import LabelledClip, LabelsFile
from tasks.store.records.evaluation import EvaluateResult
from tests.data.labels.records import video_of
from tests.pipeline.compare_versions.versions import PUT, VOCABULARY
from tests.pipeline.in_process import STORE
from tests.records import some

pytestmark = pytest.mark.slow

KEY = f"{1:016x}"
ONE_STEP = {"epochs": 1, "batch_size": 8, "weights": "none", "num_segments": 2}


@pytest.fixture
def bench(versions, monkeypatch):
    """A version that names everything `put meat`, trained on film a and scored on b.

    Of a, c and d there are clips without a label.
    """
    monkeypatch.setattr(_student, "HEADS", _student.HEADS | ONE_STEP)
    versions.train(KEY, versions.dataset("dataset", a="train", b="val", e="train"), PUT)
    clips = []
    for film in "abcd":
        cut = versions.store.clips(video_of(film), 1, recipe="more")[0]
        uid = f"{cut.uid}-more"
        versions.store.write_bytes(cut.uri, versions.films[1])
        clips.append(some(LabelledClip, clip=cut.model_copy(update={"uid": uid}), source=film, verb=None, noun=None))
    labels = some(LabelsFile, segment=SegmentOptions(), options=LabelOptions(), vocabulary=VOCABULARY, clips=tuple(clips))
    versions.store.write(Layout(STORE).labels(recipe_of(SegmentOptions())).clips, labels)
    # Film d was dealt to test, though no clip of today's dataset is of it.
    versions.store.write_bytes(Layout(STORE).split_file, f"source,split\n{video_of('d')},test\n".encode())
    return versions


def test_a_student_learns_from_clips_without_a_label_in_the_store_of_its_model_and_is_scored(bench, caplog, monkeypatch):
    caplog.set_level("INFO", "retake")
    monkeypatch.setenv("RETAKE_STORE_URI", "s3://elsewhere")
    result = bench.run("distil", model="models:/cook/1", student="test_resnet", store=None)
    run = Layout(STORE).run(result.student.split("/")[1])
    assert {clip.video for clip in taught_on(run, bench.store)} == {video_of("a"), video_of("c")}
    assert (result.num_labelled, result.num_unlabelled) == (4, 2)
    assert "the teacher answered 6 clips" in caplog.text
    (scores,) = (bench.store.read(uri, EvaluateResult) for uri in result.result_uris)
    assert (scores.split, scores.num_clips) == ("val", 2)
    assert find_trained("model", result.student, STORE, bench.store).checkpoint_sha256 == result.checkpoint_sha256
    logged = bench.mlflow.named(run.key)
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "TSN test_resnet · student of cook version 1 · 4 clips · 2 unlabelled"
    assert logged.data.params["teacher"] == find_trained("model", "models:/cook/1", STORE, bench.store).checkpoint_sha256
    before = dict(bench.store.objects)
    assert bench.run("distil", model=f"runs/{KEY}/", student="test_resnet") == result.model_copy(update={"teacher": f"runs/{KEY}/"})
    assert bench.store.objects == before
    # A later decision on the teacher tests by another protocol, here with an engine that is gone, and so is the student.
    place = Layout(STORE).run(KEY).decision("d").plan
    plan = bench.store.read(place)
    protocol = EvaluateOptions.model_validate({"crops": 1, "engine": "openvino-int8"}, context=STORED)
    bench.store.write(place, plan.model_copy(update={"evaluate": protocol}))
    again = bench.run("distil", model="models:/cook/1", student="test_resnet")
    assert again.checkpoint_sha256 == result.checkpoint_sha256
    assert not {*again.result_uris} & {*result.result_uris}
    bench.store.write(place, plan)
    assert bench.run("distil", model="models:/cook/1", student="test_resnet") == result, "by the protocol of the latest decision"


def test_a_teacher_whose_dataset_is_gone_is_named(bench):
    bench.store.delete([Layout(STORE).dataset("dataset").manifest.uri])
    with pytest.raises(BadInput, match="is gone; train it again"):
        bench.run("distil", model="models:/cook/1", student="test_resnet")
