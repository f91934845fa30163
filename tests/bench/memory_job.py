"""Trains or evaluates in a process of its own and prints its peak memory in MiB: `python -m tests.bench.memory_job KIND NUM_CLIPS FOLDER`."""

import os
import sys
from pathlib import Path
from typing import cast

import numpy as np

from tasks.data.video.cut import CutClip
from tasks.judge.statistics.scoring import peak_memory_bytes, score_clips
from tasks.keys import recipe_of
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.backbones import find
from tasks.learn.networks.checkpoints import save
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.options import EvaluateOptions, SegmentOptions, TrainOptions
from tasks.pipeline._checkpoints import file_sha256
from tasks.pipeline.predict_videos import predict_batch
from tasks.pipeline.predict_videos.contract import PredictBatchArguments
from tasks.predict.gathering import gather
from tasks.predict.names import Names
from tasks.predict.scored import ScoredWriter
from tasks.predict.to_label import table as to_label_table
from tasks.predict.to_label import to_bytes
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.experiments import KnownClipsResult, PredictedVideo, PredictionBatch, Predictor, PredictPlanResult, ScoredVideo
from tasks.store.records.video import ClipRecord, ClipsFile
from tests.bench.disk import Disk
from tests.bench.material import CLASSES, NUM_NOUNS, NUM_VERBS, cut_up, drawn, network, noise
from tests.data.labels.records import clip_record, dataset_clip, video_record
from tests.pipeline.shelf import predict_plan, predictor

BENCH = "s3://bench/"
BACKBONE = "test_resnet"
NUM_SEGMENTS = 2


def train(clips: list[CachedClip], folder: Path, trainable: str) -> None:
    """Two epochs; the heads on kept features, or the whole network on images."""
    choice = {"epochs": 2, "batch_size": 2, "trainable": trainable, "feature_variants": 2}
    options = TrainOptions.model_validate({"backbone": BACKBONE, **choice})
    features = folder / "features" if trainable == "heads" else None
    fit(TrainJob(network(BACKBONE, NUM_SEGMENTS), CLASSES, clips, clips[:20], options, folder / "job", device="cpu", features=features))


def evaluate(clips: list[CachedClip]) -> None:
    """One centre crop of each clip, by the engine that a CPU has by default, with the frames of the next clips loading meanwhile."""
    engine = OpenvinoEngine(prepare(network(BACKBONE, NUM_SEGMENTS)), 1)

    def score(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = engine.score(frames)
        return logits.verb.numpy(), logits.noun.numpy()

    paths = {f"clip{number}": clip.frames for number, clip in enumerate(clips)}
    labelled = [dataset_clip(uid, verb_class=number % NUM_VERBS, noun_class=number % NUM_NOUNS) for number, uid in enumerate(paths)]
    score_clips(labelled, lambda clip: np.load(paths[clip.uid])[:NUM_SEGMENTS], score)


def predict(num_clips: int, folder: Path) -> None:
    """The step itself on one video of so many clips, by two networks; only the store is a folder, and all clips are one film."""
    os.environ |= {"RETAKE_CACHE_DIR": str(folder / "cache"), "RETAKE_DEVICE": "cpu"}
    (film,) = cut_up(drawn(folder / "film.mp4", seconds=8), folder)
    disk, prediction = Disk(folder / "store", film.path), Layout(BENCH[:-1]).prediction("x")
    video, segment = "0" * 64, SegmentOptions()
    clips = clips_of_bench(film, num_clips)
    for label in ("model", "against"):
        save(folder / label, network(BACKBONE, NUM_SEGMENTS), CLASSES)
        disk.write_file(f"{BENCH}{label}", folder / label)
    model, against = (predictor_of_bench(label, file_sha256(folder / label)) for label in ("model", "against"))
    disk.write(f"{BENCH}videos/{video}/probe.json", video_record(video))
    cut = ClipsFile(video=video, recipe="", options=segment, clips=clips, dropped_seconds=0, warnings=(), set_aside=None)
    disk.write(f"{BENCH}clips/{video}/{recipe_of(segment)}/clips.json", cut)
    disk.write(prediction.batch(0).uri, PredictionBatch(videos=(PredictedVideo(video=video, name="film.mp4"),)))
    disk.write(prediction.plan.uri, plan_of_bench(model, against, EvaluateOptions(crops=1), 1))
    features = np.random.default_rng(0).random((300, find(BACKBONE).num_features)).astype(np.float32)
    disk.write_bytes(f"{BENCH}known.npy", to_bytes(features))
    disk.write(prediction.known.uri, KnownClipsResult(num_clips=300, features_uri=f"{BENCH}known.npy", reason=""))
    arguments = PredictBatchArguments(store=BENCH[:-1], plan=prediction.plan.folder_uri, batch=prediction.batch(0).uri)
    result = predict_batch.run(arguments, cast(Store, disk))
    assert [one.num_clips for one in result.videos] == [num_clips], result.set_aside


def predict_report(num_clips: int, folder: Path) -> None:
    """The tables, tracks, list and page of so many clips of ten videos, with ResNet-50's 2048 features a clip."""
    rng = np.random.default_rng(0)
    disk = Disk(folder / "store", folder)
    videos = []
    for number in range(10):
        video = f"{number:064x}"
        with ScoredWriter(folder / f"{video}.scored") as writer:
            for i in range(num_clips // 10):
                logits = {role: (rng.normal(size=125).astype("f4"), rng.normal(size=352).astype("f4")) for role in ("model", "against")}
                writer.add(clip_of_bench(f"{number:04x}-{i:07x}", i), logits, rng.random(2048).astype("f4"), float(rng.random()))
        uri = f"{BENCH}{video}"
        disk.write_file(uri, folder / f"{video}.scored")
        videos.append(ScoredVideo(video=video, name=f"{number}.mp4", num_clips=num_clips // 10, scored_uri=uri))

    plan = plan_of_bench(predictor_of_bench("model", ""), predictor_of_bench("against", ""), EvaluateOptions(), len(videos))
    gathered = gather(plan, videos, {}, Names({}, {}), folder, disk.read_file)
    to_label_table(gathered.to_label)


def predictor_of_bench(label: str, sha256: str) -> Predictor:
    return predictor(label, f"{BENCH}{label}", sha256)


def plan_of_bench(model: Predictor, against: Predictor | None, options: EvaluateOptions, num_videos: int) -> PredictPlanResult:
    return predict_plan(model, against, evaluate=options, prediction_uri=BENCH, store=BENCH[:-1], num_videos=num_videos)


def clip_of_bench(uid: str, number: int, **size: int) -> ClipRecord:
    return clip_record("0" * 64, number, uid=uid, uri=f"{BENCH}{uid}.mp4", sha256=uid, **size)


def clips_of_bench(film: CutClip, num_clips: int) -> tuple[ClipRecord, ...]:
    """As many as wanted, all of which look as the film does."""
    return tuple(clip_of_bench(f"{number:064x}", number, width=film.width, height=film.height) for number in range(num_clips))


def main() -> None:
    kind, num_clips, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    clips = [] if kind.startswith("predict") else noise(folder, num_clips)
    if kind == "predict":
        predict(num_clips, folder)
    elif kind == "predict_report":
        predict_report(num_clips, folder)
    elif kind == "evaluate":
        evaluate(clips)
    else:
        train(clips, folder, kind)
    sys.stdout.write(f"{peak_memory_bytes() / 2**20:.1f}\n")


if __name__ == "__main__":
    main()
