"""Trains or evaluates in a process of its own and prints its peak memory in MiB: `python -m tests.bench.memory_job KIND NUM_CLIPS FOLDER`."""

import shutil
import sys
from pathlib import Path
from typing import cast

import numpy as np

from tasks.evaluation.latency import peak_memory_bytes
from tasks.evaluation.prediction.familiar import distances_to_nearest
from tasks.evaluation.prediction.names import Names
from tasks.evaluation.prediction.scored import ScoredWriter
from tasks.evaluation.prediction.to_label import table as to_label_table
from tasks.evaluation.scoring import each_scored, score_clips
from tasks.model.data import LabelledClip
from tasks.model.engines.engine import prepare
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.model.training import TrainJob, fit
from tasks.options import EvaluateOptions, PredictOptions, SegmentOptions, TrainOptions
from tasks.results.dataset import DatasetClip
from tasks.results.prediction import Predictor, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.results.video import ClipRecord
from tasks.steps._gathered import gather
from tasks.storage import Store
from tests.bench.material import CLASSES, NUM_NOUNS, NUM_VERBS, network, noise

BACKBONE = "test_resnet"
NUM_SEGMENTS = 2


def train(clips: list[LabelledClip], folder: Path, trainable: str) -> None:
    """Two epochs; the heads on kept features, or the whole network on images."""
    options = TrainOptions.model_validate(
        {"backbone": BACKBONE, "epochs": 2, "batch_size": 2, "trainable": trainable, "feature_variants": 2}
    )
    features = folder / "features" if trainable == "heads" else None
    fit(TrainJob(network(BACKBONE, NUM_SEGMENTS), CLASSES, clips, clips[:20], options, folder / "job", device="cpu", features=features))


def evaluate(clips: list[LabelledClip]) -> None:
    """One centre crop of each clip, by the engine that a CPU has by default, with the frames of the next clips loading meanwhile."""
    engine = OpenvinoEngine(prepare(network(BACKBONE, NUM_SEGMENTS)), 1)

    def score(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = engine.score(frames)
        return logits.verb.numpy(), logits.noun.numpy()

    paths = {f"clip{number}": clip.frames for number, clip in enumerate(clips)}
    score_clips(
        [_dataset_clip(uid, number) for number, uid in enumerate(paths)], lambda clip: np.load(paths[clip.uid])[:NUM_SEGMENTS], score
    )


def predict(clips: list[LabelledClip], folder: Path) -> None:
    """The centre crop of each clip by two networks, written as it is scored."""
    engines = [OpenvinoEngine(prepare(network(BACKBONE, NUM_SEGMENTS)), 1) for _ in range(2)]
    rng = np.random.default_rng(0)
    known = rng.random((300, 512)).astype(np.float32)

    def score(frames: np.ndarray) -> tuple[dict[PredictorRole, tuple[np.ndarray, np.ndarray]], np.ndarray]:
        roles: tuple[PredictorRole, ...] = ("model", "against")
        found = dict(zip(roles, (engine.answer(engine.see(frames)) for engine in engines), strict=True))
        return {role: (logits.verb.numpy(), logits.noun.numpy()) for role, logits in found.items()}, engines[0].see(frames)[0].mean(
            0
        ).numpy()

    paths = {f"{number:012x}": clip.frames for number, clip in enumerate(clips)}
    records = [_clip(uid, number) for number, uid in enumerate(paths)]
    with ScoredWriter(folder / "scored.parquet") as writer:
        for one in each_scored(records, lambda clip: np.load(paths[clip.uid])[:NUM_SEGMENTS], score):
            logits, seen = one.answer
            writer.add(one.clip, logits, seen, float(distances_to_nearest(seen[None], known[:, : len(seen)])[0]))


def predict_report(num_clips: int, folder: Path) -> None:
    """The tables, tracks, list and page of so many clips of ten videos, with ResNet-50's 2048 features a clip."""
    rng = np.random.default_rng(0)
    videos = []
    for number in range(10):
        video = f"{number:064x}"
        with ScoredWriter(folder / f"{video}.scored") as writer:
            for i in range(num_clips // 10):
                logits = {role: (rng.normal(size=125).astype("f4"), rng.normal(size=352).astype("f4")) for role in ("model", "against")}
                writer.add(_clip(f"{number:04x}-{i:07x}", i), logits, rng.random(2048).astype("f4"), float(rng.random()))
        uri = str(folder / f"{video}.scored")
        videos.append(ScoredVideo(video=video, name=f"{number}.mp4", num_clips=num_clips // 10, scored_uri=uri, preview_uri=None))

    class Disk:
        """Files in place of a store."""

        def read_file(self, uri: str, path: Path) -> None:
            shutil.copy(uri, path)

    network = Predictor(
        label="model",
        description="",
        checkpoint_uri="",
        checkpoint_sha256="",
        verb_temperature=1.0,
        noun_temperature=1.0,
        is_calibrated=False,
        calibration="",
    )
    plan = PredictPlanResult(
        key="",
        prediction_uri="",
        store="s3://bench",
        segment=SegmentOptions(),
        evaluate=EvaluateOptions(),
        predict=PredictOptions(),
        model=network,
        against=network.model_copy(update={"label": "against"}),
        missing=(),
        run_uri=None,
        dataset_uris=(),
        set_aside=(),
        num_videos=len(videos),
        batches=(),
    )
    gathered = gather(plan, videos, {}, Names({}, {}, NUM_NOUNS), folder, cast(Store, Disk()))
    to_label_table(gathered.to_label)


def _clip(uid: str, number: int) -> ClipRecord:
    return ClipRecord(
        uid=uid,
        video="0" * 64,
        index=number,
        uri=f"s3://bench/{uid}",
        sha256=uid,
        size_bytes=1,
        start_seconds=8.0 * number,
        stop_seconds=8.0 * number + 8,
        num_frames=240,
        width=340,
        height=256,
        has_audio=False,
    )


def _dataset_clip(uid: str, number: int) -> DatasetClip:
    return DatasetClip(
        uid=uid,
        split="test",
        source=uid,
        names=(uid,),
        video=uid,
        uri=f"s3://bench/{uid}",
        sha256=uid,
        start_seconds=0,
        stop_seconds=8,
        num_frames=240,
        width=340,
        height=256,
        verb="take",
        noun="bag",
        verb_class=number % NUM_VERBS,
        noun_class=number % NUM_NOUNS,
        origin="bench",
    )


def main() -> None:
    kind, num_clips, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    clips = noise(folder, num_clips) if kind != "predict_report" else []
    if kind == "predict":
        predict(clips, folder)
    elif kind == "predict_report":
        predict_report(num_clips, folder)
    elif kind == "evaluate":
        evaluate(clips)
    else:
        train(clips, folder, kind)
    sys.stdout.write(f"{peak_memory_bytes() / 2**20:.1f}\n")


if __name__ == "__main__":
    main()
