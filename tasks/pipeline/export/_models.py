"""Write a network in a format and precision, and compare its answers with PyTorch."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.frame_cache import FramesAhead
from tasks.errors import BadConfiguration
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.paired import PairedChange, clips_within, paired_change
from tasks.judge.statistics.scoring import Logits, ScoredClips, score_clips, with_nouns_given
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.learn.engines.choice import spread
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.graph import Graph, write_onnx, write_openvino
from tasks.learn.engines.model_files import Inputs, Outputs, answerer, quantise
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import ExportOptions
from tasks.pipeline._results import log
from tasks.served.package.folder import TITLES
from tasks.served.package.sample import SHARES_OF_STD
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Manifest, Vocabulary
from tasks.store.records.export import FloatPrecision, PackageDifference, PackageFormat, PackagePrecision, PackageScore
from tasks.store.records.record import SplitName
from tasks.wording import count, percent_interval, signed

Frames = NDArray[Any]
Answer = Callable[[Sequence[Frames]], tuple[Logits, Logits]]
"""Maps a clip's test input of each network, as an engine takes it, to verb and noun logits."""

Answers = Mapping[SplitName, ScoredClips]


@dataclass(frozen=True)
class Clips:
    """The clips of a dataset, and the splits whose clips a network answers."""

    saved: Saved
    manifest: Manifest
    splits: tuple[SplitName, ...]
    store: Store

    @property
    def vocabulary(self) -> Vocabulary:
        return self.manifest.vocabulary

    def of_split(self, split: SplitName) -> list[DatasetClip]:
        return [clip for clip in self.manifest.clips if clip.split == split]

    def answers(self, answer: Answer, by: str) -> Answers:
        """Answer the clips of each split in order; `by` names the network in the log."""
        answers: dict[SplitName, ScoredClips] = {}
        for split in self.splits:
            clips = self.of_split(split)
            with self._ahead(clips) as ahead:
                scored, _ = score_clips(clips, ahead.load, answer, wait=ahead.wait, by=f" on {split} by {by}")
            answers[split] = with_nouns_given(scored, self.vocabulary, self.saved.classes.given_noun)
        return answers

    def inputs(self, clips: Sequence[DatasetClip], graph: Graph) -> list[Inputs]:
        """Load the inputs of clips as a written model takes them."""
        with self._ahead(clips) as ahead:
            return [self._inputs(ahead.load(clip), graph) for clip in clips]

    def _inputs(self, tested: Sequence[Frames], graph: Graph) -> Inputs:
        each = zip(graph.inputs, self.saved.networks, tested, strict=True)
        return {own.name: apart(frames, network.spec) if own.kind == "frames" else frames for own, network, frames in each}

    def by_pytorch(self) -> Answer:
        """Make the reference: PyTorch in float32, with the centre crop."""
        engines = tuple(PytorchEngine(prepare(network), 1) for network in self.saved.networks)  # on the CPU, as the package
        scorer = Scorer(engines, self.saved.weights, self.saved.joint and self.saved.joint.eval())
        return lambda inputs: scorer.score(inputs).numpy()

    def by_model(self, path: Path, graph: Graph) -> Answer:
        """Load the model that a graph was written to."""
        answer = answerer(path)

        def logits(inputs: Sequence[Frames]) -> tuple[Logits, Logits]:
            (outputs,) = answer([self._inputs(inputs, graph)])
            return outputs["verb_logits"], outputs.get("noun_logits", np.zeros(len(self.saved.classes.nouns), np.float32))

        return logits

    def _ahead(self, clips: Sequence[DatasetClip]) -> FramesAhead:
        return FramesAhead(self.store, clips, [network.spec for network in self.saved.networks])


Write = Callable[[Graph, Path, FloatPrecision], None]
WRITERS: Mapping[PackageFormat, tuple[str, Write]] = {"onnx": ("model.onnx", write_onnx), "openvino": ("model.xml", write_openvino)}
"""The file of each format, and its writer."""

BEST_FLOAT: Mapping[PackageFormat, FloatPrecision] = {"onnx": "fp32", "openvino": "fp16"}
"""The precision in place of a refused int8. OpenVINO's fp16 weights halve the file, and answer as fp32 do."""

NUM_CALIBRATED, NUM_VALIDATED = 64, 64
"""Training clips that int8 is calibrated on, and further ones on which it may not lose. Val, which judges it, has no part in either."""


@dataclass(frozen=True)
class Written:
    """A written model, its answers by split, and why another precision was refused."""

    precision: PackagePrecision
    path: Path
    answers: Answers
    refused: str = ""


def write(graph: Graph, options: ExportOptions, clips: Clips, reference: Answers, folder: Path) -> Written:
    """Write the network, and answer clips by it; in floating precision if int8 is refused."""
    if options.precision != "int8":
        return _written_in_float(graph, options.format, options.precision, clips, reference, folder)
    in_float = _written_in_float(graph, options.format, "fp32", clips, reference, folder)
    path = folder / "int8" / in_float.path.name
    shutil.copytree(in_float.path.parent, path.parent)
    train = clips.of_split("train")
    calibrating, validating = spread(train[::2], NUM_CALIBRATED), spread(train[1::2], NUM_VALIDATED)
    log.info("quantising on %s, and trying %s", count(len(calibrating), "training clip"), count(len(validating), "further clip"))
    margin = options.max_drop_points / 100
    quantised = quantise(
        path, clips.inputs(calibrating, graph), clips.inputs(validating, graph), lambda own: right_of(own, validating), margin
    )
    log.info("%d of %d quantisers taken back, %.0f s", quantised.num_reverted, quantised.num_quantisers, quantised.seconds)
    answers = clips.answers(clips.by_model(path, graph), f"{TITLES[options.format]} in int8")
    change = change_of(answers["val"], in_float.answers["val"], clips.vocabulary)
    best = BEST_FLOAT[options.format]
    num_clips = len(with_actions(answers["val"], clips.vocabulary).uids)
    if not (refused := refusal_of_int8(change, num_clips, options.max_drop_points, best)):
        return Written("int8", path, answers)
    log.warning("%s", refused)
    delivered = in_float if best == "fp32" else _written_in_float(graph, options.format, best, clips, reference, folder)
    return replace(delivered, refused=refused)


def _written_in_float(
    graph: Graph, model_format: PackageFormat, precision: FloatPrecision, clips: Clips, reference: Answers, folder: Path
) -> Written:
    """Write the network, answer the clips by it, and require the answers of PyTorch."""
    title, (file_name, write_as) = TITLES[model_format], WRITERS[model_format]
    path = folder / precision / file_name
    path.parent.mkdir()
    log.info("writing %s in %s", title, precision)
    write_as(graph, path, precision)
    answers = clips.answers(clips.by_model(path, graph), f"{title} in {precision}")
    differs = max(largest_difference(own, reference[split]) for split, own in answers.items())
    allowed = SHARES_OF_STD[precision]["cut"] * min(float(own.verb_logits.std()) for own in reference.values())
    if not differs <= allowed:  # also if it is not a number
        raise BadConfiguration(
            f"{title} in {precision} answers otherwise than PyTorch: a logit differs by {differs:.3g}, and {allowed:.3g} is allowed; "
            "choose another format or precision"
        )
    return Written(precision, path, answers)


def apart(snippets: Frames, spec: NetworkSpec) -> Frames:
    """Take snippets apart into frames, as `snippets.joined` takes them.

    (t, h, w, m * 3) becomes (t * m, h, w, 3).
    """
    num_snippets, height, width, _ = snippets.shape
    frames = snippets.reshape(num_snippets, height, width, spec.snippet.num_frames, -1).transpose(0, 3, 1, 2, 4)
    return np.ascontiguousarray(frames).reshape(-1, height, width, spec.snippet.frame_planes)


def largest_difference(ours: ScoredClips, theirs: ScoredClips) -> float:
    """Compute the largest difference of a logit."""
    return max(float(np.abs(getattr(ours, head) - getattr(theirs, head)).max()) for head in ("verb_logits", "noun_logits"))


def right_of(outputs: Sequence[Outputs], clips: Sequence[DatasetClip]) -> list[bool]:
    """Check for each clip whether the best verb, and noun if any, are the label."""
    heads = [head for head in ("verb", "noun") if f"{head}_logits" in outputs[0]]
    return [
        all(int(own[f"{head}_logits"].argmax()) == getattr(clip, f"{head}_class") for head in heads)
        for own, clip in zip(outputs, clips, strict=True)
    ]


def scores_of(scored: ScoredClips, split: SplitName, vocabulary: Vocabulary) -> tuple[PackageScore, ...]:
    """Score the clips of a split that have an action, by target."""
    acting = with_actions(scored, vocabulary)
    answers = answers_of(acting, vocabulary)
    return tuple(
        PackageScore(
            split=split,
            target=target,
            num_clips=len(acting.uids),
            num_sources=len(set(acting.sources)),
            top1=float(answers[target].right.mean()),
            top1_interval=top1_interval(answers[target].right, acting.sources),
        )
        for target in vocabulary.targets
    )


def change_of(ours: ScoredClips, theirs: ScoredClips, vocabulary: Vocabulary) -> PairedChange:
    """Compare the answers of two networks to the same clips on the deciding target."""
    target = vocabulary.targets[-1]
    acting, others = (with_actions(scored, vocabulary) for scored in (ours, theirs))
    right, of_others = (answers_of(scored, vocabulary)[target].right for scored in (acting, others))
    return paired_change(right, of_others, acting.sources)


def difference_of(
    ours: ScoredClips, theirs: ScoredClips, against: str, split: SplitName, vocabulary: Vocabulary, *, against_registered: bool
) -> PackageDifference:
    """Record the difference of the package from another network."""
    change = change_of(ours, theirs, vocabulary)
    return PackageDifference(
        against=against,
        against_registered=against_registered,
        split=split,
        target=vocabulary.targets[-1],
        num_clips=len(with_actions(ours, vocabulary).uids),
        difference=change.difference,
        interval=change.interval,
        num_gained=change.num_gained,
        num_lost=change.num_lost,
    )


def refusal_of_int8(change: PairedChange, num_clips: int, max_drop_points: float, delivered: str) -> str:
    """Say why int8 is not delivered; empty if it is.

    The gate's paired test, turned around: the lower limit of the difference must not be below minus the margin.
    """
    margin = max_drop_points / 100
    if change.interval[0] >= -margin:
        return ""
    needed = clips_within(change, num_clips, margin)
    enough = (
        f"it would take about {count(needed, 'val clip')} of such videos to show that it is not"
        if needed
        else "more clips would not change that; raise max_drop_points if such a loss is acceptable"
    )
    return (
        f"int8 is refused, and {delivered} is delivered: on {count(num_clips, 'val clip')} of {count(change.num_sources, 'source video')} its top-1 "
        f"differs by {signed(change.difference)} points, 95 % CI {percent_interval(change.interval)}, so it may be worse by more than {max_drop_points:g} "
        f"points; {enough}"
    )
