"""Row `memory`: whether what a step holds at its peak grows with the number of clips.

`python -m tests.bench.memory KIND NUM_CLIPS FOLDER` trains or evaluates in a process of its own and prints its peak memory in MiB.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from tasks.judge.statistics.scoring import peak_memory_bytes, score_clips
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.inputs.data import CachedClip
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.options import TrainOptions
from tests.bench.material import CLASSES, NUM_NOUNS, NUM_VERBS, emptied, network, noise
from tests.bench.measure import Row, alternate
from tests.data.labels.records import dataset_clip

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = {"heads": "train, heads on kept features", "all": "train, whole network", "evaluate": "evaluate"}
BACKBONE, NUM_SEGMENTS = "test_resnet", 2


def memory(folder: Path, quick: bool) -> list[Row]:
    """Peak memory of train and evaluate, each in a process of its own, by the number of clips."""
    few, many, repetitions = (10, 40, 1) if quick else (100, 1000, 2)

    def peak_mib(kind: str, num_clips: int) -> float:
        command = [sys.executable, "-m", "tests.bench.memory", kind, str(num_clips), str(emptied(folder / "job"))]
        done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return float(done.stdout.split()[-1])

    return [
        Row(
            "memory",
            f"Peak memory of {title}",
            "MiB",
            alternate({f"{number} clips": partial(peak_mib, kind, number) for number in (few, many)}, repetitions),
            f"{few} clips",
            target="does not grow with the number of clips",
            limit="a few hundred bytes of labels and a few kB of logits a clip",
            how=f"The light backbone {BACKBONE}, in a process of its own: most of it is torch itself.",
        )
        for kind, title in KINDS.items()
    ]


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
    kind, folder = sys.argv[1], Path(sys.argv[3])
    clips = noise(folder, int(sys.argv[2]))
    evaluate(clips) if kind == "evaluate" else train(clips, folder, kind)
    sys.stdout.write(f"{peak_memory_bytes() / 2**20:.1f}\n")
