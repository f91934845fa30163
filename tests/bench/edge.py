"""Sets packages beside the networks that they are made from: `python -m tests.bench.edge [--quick] [--write-docs]`.

A teacher and its student train on the sample videos of two folds, and the third answers, so that each clip is answered by networks that saw no
clip of its video. The times are of the first fold.
"""

import argparse
import itertools
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.paired import paired_change
from tasks.judge.statistics.scoring import peak_memory_bytes
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.graph import Graph, make_graph, write_onnx, write_openvino
from tasks.learn.engines.model_files import Inputs, Outputs, answerer, quantise
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.snippets import read_snippets
from tasks.learn.networks.checkpoints import load, save
from tasks.options import Weights
from tasks.pipeline.export import _timed
from tasks.pipeline.export._models import refusal_of_int8
from tasks.store.records.export import PackageCosts
from tasks.wording import count, percent, percent_interval, signed
from tests.bench.machine import in_words, machine
from tests.bench.material import CLASSES, emptied
from tests.bench.table import in_columns, write_docs
from tests.simulations.distillation import HEADS, STUDENTS, Film, Student, answers, drawn_films, splits, student, trained

DOCS = Path(__file__).resolve().parents[2] / "docs"
NUM_CROPS, NUM_FOLDS, MAX_DROP_POINTS = 10, 3, 2.0
QUICK = student("test_resnet", Weights.NONE, "test_resnet", 1, **HEADS)
PACKAGES = ("ONNX fp32", "OpenVINO fp16", "OpenVINO int8")
HEADINGS = (
    *("Network", "Form", "Actions", "95 % CI", "To as scored", "Size, MB", "A clip, ms", "90th percentile", "Clips/s", "Memory, MB"),
    "Start, s",
)
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Form:
    """A network as scored or packed: its costs, and the clips that it names right."""

    name: str
    size_bytes: int
    costs: PackageCosts
    right: Right


def measured(films: Sequence[Film], chosen: Student, num_folds: int, folder: Path) -> dict[str, list[Form]]:
    """Train teacher and student in each fold, and measure them in every form."""
    by_fold: dict[str, list[list[Form]]] = {}
    for labelled, _, held_out in itertools.islice(splits(films, 1, seed=0), num_folds):
        teacher = trained(chosen.teacher, chosen.weights, labelled, held_out, folder)
        # Kept before it answers, which folds its layers in place.
        save(checkpoint := emptied(folder / "teacher") / "network.ckpt", teacher, CLASSES)
        learnt = trained(chosen.options, chosen.weights, labelled, held_out, folder, answers(teacher, labelled))
        save(of_student := emptied(folder / "student") / "network.ckpt", learnt, CLASSES)
        for network, path in {teacher: checkpoint, learnt: of_student}.items():
            name = f"{path.parent.name}, {network.spec.backbone}"
            sys.stderr.write(f"measuring the {name}\n")
            by_fold.setdefault(name, []).append(list(forms(path, labelled, held_out)))
    return {name: [_joined(own) for own in zip(*folds, strict=True)] for name, folds in by_fold.items()}


def _joined(folds: Sequence[Form]) -> Form:
    return replace(folds[0], right=np.concatenate([own.right for own in folds]))


def forms(checkpoint: Path, labelled: Sequence[CachedClip], held_out: Sequence[CachedClip]) -> Iterator[Form]:
    """Measure a network as Retake scores it, then as packages."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        yield alone.submit(as_scored, checkpoint, held_out).result()
    saved = load(checkpoint)
    graph = make_graph(saved, 1, 1)
    tested = inputs_of(held_out, graph)
    np.savez(clip := checkpoint.with_name("clip.npz"), allow_pickle=False, **tested[0])
    for name in PACKAGES:
        folder = checkpoint.with_name(name)
        folder.mkdir()
        written = write(name, graph, folder, labelled)
        command = [sys.executable, "-I", _timed.__file__, str(written), str(clip), str(time.time())]
        costs = PackageCosts.model_validate_json(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        answer = answerer(written)
        outputs = [answer([clip])[0] for clip in tested]
        yield Form(name, sum(path.stat().st_size for path in folder.iterdir()), costs, right_of(outputs, held_out))


def write(name: str, graph: Graph, folder: Path, labelled: Sequence[CachedClip]) -> Path:
    """Write a graph in a form; labelled clips calibrate and control int8 by turns."""
    if name == "ONNX fp32":
        write_onnx(graph, folder / "model.onnx", "fp32")
        return folder / "model.onnx"
    write_openvino(graph, path := folder / "model.xml", "fp16" if name == "OpenVINO fp16" else "fp32")
    if name == "OpenVINO int8":
        calibration, validation = labelled[::2], labelled[1::2]
        quantise(
            path,
            inputs_of(calibration, graph),
            inputs_of(validation, graph),
            lambda outputs: right_of(outputs, validation).tolist(),
            MAX_DROP_POINTS / 100,
        )
    return path


def as_scored(checkpoint: Path, clips: Sequence[CachedClip]) -> Form:
    """Answer clips by OpenVINO with ten crops, as an evaluation does."""
    network = load(checkpoint).network
    engine = OpenvinoEngine(prepare(network), NUM_CROPS)
    outputs, seconds = [], []
    for clip in clips:
        snippets = read_snippets(clip.frames, network.spec)
        started = time.perf_counter()
        logits = engine.score(snippets)
        seconds.append(time.perf_counter() - started)
        outputs.append({"verb_logits": logits.verb.numpy(), "noun_logits": logits.noun.numpy()})
    median = float(np.median(seconds[1:]))
    costs = PackageCosts(
        num_timed=len(seconds) - 1,
        median_seconds=median,
        p90_seconds=float(np.percentile(seconds[1:], 90)),
        clips_per_second=1 / median,
        peak_memory_bytes=peak_memory_bytes(),
    )
    return Form(f"as scored: {engine.precision}, ten crops", checkpoint.stat().st_size, costs, right_of(outputs, clips))


def inputs_of(clips: Sequence[CachedClip], graph: Graph) -> list[Inputs]:
    """Read the RGB frames of clips as a written model takes them."""
    return [{graph.inputs[0].name: np.ascontiguousarray(read_snippets(clip.frames, graph.specs[0]))} for clip in clips]


def right_of(outputs: Sequence[Outputs], clips: Sequence[CachedClip]) -> Right:
    """Say which clips have the label's verb and noun as the best ones."""
    each = zip(outputs, clips, strict=True)
    return np.array([own["verb_logits"].argmax() == clip.verb and own["noun_logits"].argmax() == clip.noun for own, clip in each])


def table(networks: Mapping[str, Sequence[Form]], sources: Sequence[str]) -> str:
    """Write a row for each form, then whether int8 would be delivered."""
    rows, notes = [], []
    for name, own in networks.items():
        scored, in_float, in_int8 = own[0], own[2], own[3]
        for form in own:
            change = paired_change(form.right, scored.right, sources)
            costs = form.costs
            cells = (
                name,
                form.name,
                percent(float(form.right.mean())),
                percent_interval(top1_interval(form.right, sources)),
                "" if form is scored else f"{signed(change.difference)} {percent_interval(change.interval)}",
                f"{form.size_bytes / 1e6:.1f}",
                f"{1e3 * costs.median_seconds:.0f}",
                f"{1e3 * costs.p90_seconds:.0f}",
                f"{costs.clips_per_second:.1f}",
                f"{costs.peak_memory_bytes / 1e6:.0f}",
                f"{costs.start_seconds:.2f}" if costs.start_seconds else "",
            )
            rows.append(cells)
        refused = refusal_of_int8(paired_change(in_int8.right, in_float.right, sources), len(sources), MAX_DROP_POINTS, "fp16")
        notes.append(f"{name}: {refused or 'int8 is delivered'}.")
    return "\n".join([*in_columns(HEADINGS, rows), "", *notes])


def draw(networks: Mapping[str, Sequence[Form]], sources: Sequence[str], path: Path) -> None:
    """Draw accuracy over latency, and the forms that no other one beats in both."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    points = []
    for (name, own), color in zip(networks.items(), ("#0067ad", "#b35900"), strict=True):
        for form, marker in zip(own, "os^D", strict=True):
            x, y = 1e3 * form.costs.median_seconds, 100 * form.right.mean()
            low, high = (100 * limit for limit in top1_interval(form.right, sources))
            axes.errorbar(
                x, y, [[y - low], [high - y]], color=color, marker=marker, elinewidth=0.6, linestyle="", label=f"{name}: {form.name}"
            )
            points.append((x, y))
    front = [(x, y) for x, y in sorted(points) if all(y > other for faster, other in points if faster < x)]
    axes.step(*zip(*front, strict=True), where="post", color="#6b7680", linewidth=0.8, zorder=0)
    axes.set(xlabel="A clip, ms", ylabel="Actions, top-1 %", xscale="log", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.edge", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and few: shows that everything runs, measures nothing")
    parser.add_argument("--folds", type=int, choices=range(1, NUM_FOLDS + 1), default=NUM_FOLDS, help="fewer answer fewer clips")
    parser.add_argument("--write-docs", action="store_true", help="put the table and the plot into docs/edge.md")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write_docs:
        parser.error("--quick measures nothing that belongs into docs")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    on, chosen = in_words(machine()), QUICK if arguments.quick else STUDENTS["heads of lite0"]
    with tempfile.TemporaryDirectory(prefix="retake-bench-edge-") as name:
        films = drawn_films(Path(name))
        num_folds = 1 if arguments.quick else arguments.folds
        networks = measured(films, chosen, num_folds, Path(name))
        held_out = [clip for _, _, own in itertools.islice(splits(films, 1, seed=0), num_folds) for clip in own]
    sources = [str(clip.source) for clip in held_out]
    text = (
        f"Measured on: {on}.\n\n{count(len(sources), 'clip')} of 8 s of {count(len(set(sources)), 'video')}.\n\n{table(networks, sources)}\n\n"
        "![Accuracy over latency](images/edge.png)"
    )
    sys.stdout.write(f"{text}\n")
    if arguments.write_docs:
        write_docs(DOCS / "edge.md", text, "edge")
        draw(networks, sources, DOCS / "images" / "edge.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
