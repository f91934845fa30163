"""Compare two trained networks on labelled clips that neither was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from tasks.data.labels.video_names import named_clips
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.judge.gate.error_budget import record_look
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.mistakes import confusions
from tasks.judge.statistics.paired import differing
from tasks.keys import content_key, options_key
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.options import EvaluateOptions, GateOptions
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._comparison_table import Tested, comparison_of, publish
from tasks.pipeline._media import thumbnails
from tasks.pipeline._plans import find_dataset
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline._scoring import Choice, Ready, common_choice, make_ready
from tasks.pipeline._trained import Trained, find_trained, plan_of, taught_on, trained_on, unseen
from tasks.pipeline.compare_versions.contract import COMPARE_VERSIONS, CompareVersionsArguments
from tasks.settings import MachineSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.comparison import Comparison, TabulateResult
from tasks.store.records.dataset import DatasetClip, Manifest, Vocabulary
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.training import PlanResult
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Decision, Run
from tasks.wording import count

MIN_LEFT = 2
"""Fewest clips, and fewest source videos, to compare on."""


@dataclass(frozen=True)
class Version:
    """A trained network, its plan, and the clips that trained it or chose its epoch."""

    trained: Trained
    plan: PlanResult
    clips: tuple[DatasetClip, ...]
    unlabelled: tuple[ClipRecord, ...]


def run(arguments: CompareVersionsArguments, store: Store) -> TabulateResult:
    """Score both networks on the clips that are left, and write the comparison; decide nothing.

    Raises:
        BadConfiguration: both are one network.
        BadInput: there is no such network, its training clips are not known, or too few clips are left.
        NothingToDo: there is no dataset yet, or too few clips are left and a report compares both.
    """
    output = COMPARE_VERSIONS.address(arguments)
    dataset = find_dataset(store, arguments.store, arguments.dataset)
    manifest = store.read(dataset.manifest)
    versions = [_version(option, getattr(arguments, option), arguments.store, store) for option in ("first", "second")]
    shas = [version.trained.checkpoint_sha256 for version in versions]
    if shas[0] == shas[1]:
        raise BadConfiguration(f"first and second are one network, {versions[0].trained.label}; name another version")
    clips, selection = _left(arguments.split, manifest, versions, store)
    evaluate = arguments.picked(EvaluateOptions)
    # An alias moves, and so does the latest dataset; equal clips and networks have the same key, so that links to the page stay valid.
    key = content_key(
        {
            "networks": shas,
            "clips": [clip.uid for clip in clips],
            "evaluate": options_key(evaluate),
            "split": arguments.split,
            "code": load(MachineSettings).code_version,
        }
    )
    place = Layout(arguments.store).comparison_table(dataset.digest, key)
    if earlier := earlier_result(store, place):
        log.info("%s", earlier.verdict)
        return finish(store, output, earlier)
    tested = _score(versions, clips, manifest.vocabulary, evaluate, store)
    record_look(
        store,
        arguments.store,
        "versions",
        [clip.uid for clip in clips if clip.has_action],
        [version.trained.run_key for version in versions],
        made_by=place.folder_uri,
        model_name=versions[0].plan.model_name,
        split="unseen",
    )
    comparison = _comparison(dataset, manifest.vocabulary, clips, selection, tested)
    pictures = thumbnails(store, clips, comparison.named_uids)
    return finish(store, output, publish(store, arguments.store, place, key, comparison, tested, pictures))


def _left(split: str, manifest: Manifest, versions: Sequence[Version], store: Store) -> tuple[tuple[DatasetClip, ...], str]:
    """Select the clips to score, and say how many there are and why."""
    labelled = [clip for clip in manifest.clips if split in ("all", clip.split)]
    left = unseen(manifest.clips, [clip for version in versions for clip in version.clips])
    left = unseen(left, [clip for version in versions for clip in version.unlabelled])
    clips = tuple(clip for clip in left if split in ("all", clip.split))
    acting = [clip for clip in clips if clip.has_action]
    num_sources = len({clip.source for clip in acting})
    of_split = "of the dataset" if split == "all" else f"of its split {split}"
    number = len(labelled) - len(clips)
    text = (
        f"Of the {count(len(labelled), 'labelled clip')} {of_split}, {f'{number:,}' if number else 'none'} "
        f"{'are of videos' if number > 1 else 'is of a video'} that trained one of the two networks or chose among its epochs{', and left out' if number else ''}."
    )
    if min(len(acting), num_sources) < MIN_LEFT:
        few = (
            f"{text} {count(len(acting), 'clip')} with an action, of {count(num_sources, 'source video')}, {'is' if len(acting) == 1 else 'are'} left, "
            f"and a comparison takes {MIN_LEFT} of each"
        )
        if url := _reported(versions, store):
            raise NothingToDo(f"{few}; the report of retrain compares both on the clips that decided: {url}")
        raise BadInput(f"{few}; label clips of videos that neither was trained on, and run build_dataset")
    return clips, text


def _reported(versions: Sequence[Version], store: Store) -> str | None:
    """Find the report of a training that was compared with the other network."""
    for ours, theirs in permutations(versions):
        report = Decision(ours.plan.decision_uri).report
        opponents = [other.checkpoint_sha256 for other in (ours.plan.champion, ours.plan.previous) if other]
        if theirs.trained.checkpoint_sha256 in opponents and store.exists(report.uri):
            return store.read(report).report_url
    return None


def _caution(result: EvaluateResult) -> str:
    """Warn of fewer clips than a gate decides on; empty if there are enough."""
    enough = GateOptions()
    if result.num_clips >= enough.min_gate_clips and result.num_sources >= enough.min_gate_sources:
        return ""
    few = f"{count(result.num_clips, 'clip')} of {count(result.num_sources, 'source video')}"
    return f"{few} are few: only a large difference can be told from chance."


def _version(option: str, name: str, store_uri: str, store: Store) -> Version:
    trained = find_trained(option, name, store_uri, store)
    own = Layout(store_uri).run(trained.run_key)
    try:
        return Version(trained, plan_of(own, store), tuple(trained_on(own, store)), tuple(taught_on(own, store)))
    except BadInput as error:
        raise BadInput(f"{option}: the clips that {trained.label} was trained on are not known: {error}") from None


def _score(
    versions: Sequence[Version], clips: Sequence[DatasetClip], vocabulary: Vocabulary, evaluate: EvaluateOptions, store: Store
) -> list[Tested]:
    """Score both networks by one engine."""
    keep_to_one_gpu()
    keep_freed_memory()

    def made_ready(version: Version, choice: Choice) -> Ready:
        return make_ready(
            fetch_network(store, version.trained.checkpoint_uri, version.trained.checkpoint_sha256),
            choice,
            evaluate.crops,
            [clips],
            [clip for clip in version.clips if clip.split == "train"],
            checked_on=clips,
            shares_features=version.plan.train.trainable == "heads",
            store=store,
        )

    ready = [made_ready(version, Choice(evaluate.engine)) for version in versions]
    used = [
        (version.trained.label, network.engine) for version, network in zip(versions, ready, strict=True) if network.engine.has_backbone
    ]
    if evaluate.engine == "auto" and len({engine.label for _, engine in used}) > 1:
        for network in ready:
            network.close()
        ready = [made_ready(version, common_choice(used)) for version in versions]
    tested = []
    for version, network in zip(versions, ready, strict=True):
        scored, result = network.score_alone(clips, vocabulary, store, model="fine-tuned", split="test", crops=evaluate.crops, uri="")
        plan = version.plan.model_copy(update={"evaluate": evaluate})
        tested.append(Tested(version.trained.label, plan, store.read(Run(plan.run_uri).train), result, scored))
    return tested


def _comparison(
    dataset: Dataset, vocabulary: Vocabulary, clips: Sequence[DatasetClip], selection: str, tested: Sequence[Tested]
) -> Comparison:
    theirs, ours = (with_actions(network.scored, vocabulary) for network in tested)
    decisive = vocabulary.targets[-1]
    comparison = comparison_of(tested, vocabulary, tested[0]).model_copy(
        update={
            "dataset_uri": dataset.folder_uri,
            "dataset_digest": dataset.digest,
            "split": "unseen",
            "selection": selection,
            "caution": _caution(tested[0].result),
            "confusions": confusions({"previous": theirs, "fine-tuned": ours}, vocabulary),
            "differing": differing(answers_of(ours, vocabulary)[decisive], answers_of(theirs, vocabulary)[decisive], ours.uids),
            "airflow_run": load(MachineSettings).airflow_url or "",
        }
    )
    return comparison.model_copy(update={"clips": named_clips(clips, comparison.named_uids)})
