"""Trains or evaluates in a process of its own and prints its peak memory in MiB: `python -m tests.bench.memory_job KIND NUM_CLIPS FOLDER`."""

import sys
from pathlib import Path

import numpy as np

from tasks.judge.statistics.scoring import peak_memory_bytes, score_clips
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.inputs.data import CachedClip
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.options import TrainOptions
from tests.bench.material import CLASSES, NUM_NOUNS, NUM_VERBS, network, noise
from tests.data.labels.records import dataset_clip

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


if __name__ == "__main__":
    kind, num_clips, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    clips = noise(folder, num_clips)
    evaluate(clips) if kind == "evaluate" else train(clips, folder, kind)
    sys.stdout.write(f"{peak_memory_bytes() / 2**20:.1f}\n")
