"""Trains or evaluates in a process of its own and prints its peak memory in MiB: `python -m tests.bench.memory_job KIND NUM_CLIPS FOLDER`."""

import sys
from pathlib import Path

import numpy as np

from tasks.evaluation.latency import peak_memory_bytes
from tasks.evaluation.scoring import score_clips
from tasks.model.data import LabelledClip
from tasks.model.engines.engine import prepare
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.model.training import TrainJob, fit
from tasks.options import TrainOptions
from tasks.results.dataset import DatasetClip
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
    clips = noise(folder, num_clips)
    if kind == "evaluate":
        evaluate(clips)
    else:
        train(clips, folder, kind)
    sys.stdout.write(f"{peak_memory_bytes() / 2**20:.1f}\n")


if __name__ == "__main__":
    main()
