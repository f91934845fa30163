"""Plan a training, its tests and its opponents; stop if it was done before."""

from collections import Counter
from collections.abc import Collection, Sequence

from tasks.data.split.manifest import num_clips
from tasks.errors import BadConfiguration, NothingToDo
from tasks.judge.gate.champion import complete_last_move, moves
from tasks.judge.gate.error_budget import spend
from tasks.judge.gate.gate import choose_deciding_split
from tasks.judge.statistics.uncertainty import power_in_words
from tasks.keys import content_key, options_key
from tasks.loop.summary import keep
from tasks.loop.summary_parts import training_status
from tasks.options import EvaluateOptions, Family, GateOptions, NetworkOptions, TrainOptions
from tasks.pipeline._estimate import estimate, question, seconds_to_test
from tasks.pipeline._plans import PlannedTraining, find_dataset, flows_of, in_words, plan_training, plans_of, repeats_of, run_of, sounds_of
from tasks.pipeline._results import finish, log
from tasks.pipeline.retrain._networks import needs_of_plan
from tasks.pipeline.retrain.contract import PLAN, PlanArguments
from tasks.settings import MlflowSettings, load, training_page
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.record import SPLITS, ModelRole, SplitName, now_utc
from tasks.store.records.training import Champion, Evaluation, PlanResult, Repeat, WeightsResult
from tasks.store.run_layout import Decision, Evaluations, Run, Scores, deciding
from tasks.store.stored import Output
from tasks.tracking import RegisteredVersion, Registry, Tracker, end_left_behind
from tasks.video_networks import CLIP_FPS
from tasks.wording import count, duration, listed

PARTS = ("head", "modality", "backbone", "flow_bound_pixels")
"""Options without whose values a trained network cannot be built again."""


def run(arguments: PlanArguments, store: Store) -> PlanResult:
    """Fix the run key and the inputs of all later steps.

    Raises:
        MissingObject: there is no such dataset.
        NothingToDo: these options were trained on this dataset and decided on before, or there is no dataset yet.
        BadConfiguration: this version of Retake cannot build the champion's network.
    """
    dataset = find_dataset(store, arguments.store, arguments.dataset)
    weights = store.read(Output(arguments.weights_result, WeightsResult))
    if weights.dataset_uri and not arguments.dataset:
        dataset = Dataset.at(weights.dataset_uri)  # a newer dataset may have come since the recipe was chosen
    manifest = store.read(dataset.manifest)
    options = weights.recipe or arguments.picked(TrainOptions)
    training = plan_training(arguments.store, dataset.digest, options, weights, arguments.model_name, arguments.force_token)
    evaluate = arguments.picked(EvaluateOptions)
    gate = arguments.picked(GateOptions)
    registry = Registry(load(MlflowSettings))
    end_left_behind(Tracker(load(MlflowSettings)))
    registry.claim(arguments.model_name, arguments.store)
    complete_last_move(store, arguments.store, arguments.model_name, registry)
    # Count moves before reading the champion: a promotion in between then voids this plan's decision.
    num_champions = len(moves(store, arguments.store, arguments.model_name))
    champion, its_plan = _champion(arguments, training.run_key, registry, store)
    deciding_split = choose_deciding_split(manifest.clips, gate)
    deciding_uids = {clip.uid for clip in manifest.clips if clip.split == deciding_split}
    previous, no_previous = _previous(arguments.model_name, training.run, champion, deciding_uids, deciding_split, registry, store)
    how = {"evaluate": options_key(evaluate), "gate": options_key(gate)}
    further = _further_trainings(training.train, weights, dataset.digest, arguments)
    seeds = {"seeds": [repeat.run_key for repeat, _ in further]} if further else {}
    terms = {**how, "champion": champion and champion.version, "again": arguments.decide_token, **seeds}
    decision = training.run.decision(content_key(terms))
    splits = [split for split in SPLITS if any(clip.split == split for clip in manifest.clips)]
    planned = evaluations(training.evaluations(evaluate), splits, deciding_split, champion, previous)
    if arguments.decide_token is None:
        _stop_if_decided(store, training.run, decision, champion, planned)
    trainings = [training.run.train, *(repeat.run.train for repeat, _ in further)]
    left = [place for place in trainings if not store.exists(place.uri)]
    num_expected = len(left) or len(trainings)
    # A fusion of logits only chooses weights.
    is_trained = not training.train.fuse or training.train.join == "features"
    expected = estimate(training.train, weights, manifest, its_plan, store, num_expected) if is_trained else None
    plan = PlanResult(
        run_key=training.run_key,
        run_uri=training.run.folder_uri,
        dataset_uri=dataset.folder_uri,
        dataset_digest=dataset.digest,
        train=training.train,
        evaluate=evaluate,
        gate=gate,
        decision_uri=decision.folder_uri,
        num_champions=num_champions,
        model_name=arguments.model_name,
        weights=weights,
        champion=champion,
        previous=previous,
        no_previous=no_previous,
        deciding_split=deciding_split,
        num_train_clips=num_clips(manifest)["train"],
        evaluations=tuple(planned),
        estimate=expected.line if expected else "",
        expected_seconds=expected.seconds if expected else None,
        test_seconds=seconds_to_test(
            training.train, evaluate, [evaluation.split for evaluation in planned] + [deciding_split] * len(further), weights, manifest
        ),
        question=question(expected, arguments.max_hours) if expected and any(not store.exists(place.last) for place in left) else "",
    )
    plan = plan.model_copy(update={"inputs": needs_of_plan(plan, store).inputs})
    log.info("run %s: %s from %s on dataset %s", training.run_key, weights.network, weights.description, dataset.digest)
    if expected:
        log.info("%s%s", expected.line, f"; to score: about {duration(plan.test_seconds)}" if plan.test_seconds else "")
    if warning := rate_warning(training.train, manifest.segment.fps):
        log.warning("%s", warning)
    plan = plan.model_copy(update={"repeats": tuple(_plan_repeat(plan, repeat, start, deciding_split, store) for repeat, start in further)})
    deciding_clips = [clip for clip in manifest.clips if clip.split == deciding_split and clip.has_action]
    clips_of_source = Counter(clip.source for clip in deciding_clips)
    # Known before hours of training; `compare` spends.
    attempt = spend(store, arguments.store, plan, frozenset(clip.uid for clip in deciding_clips), can_pass=False)
    log.info("%s", power_in_words(list(clips_of_source.values()), deciding_split, manifest.vocabulary.targets[-1], attempt.level))
    if attempt.obstacle:
        log.warning("as it stands, the gate can pass no network: %s", attempt.obstacle)
    # Later steps read the plan here: the same form may lead to a plan for another dataset.
    finish(store, decision.plan, plan)
    store.write(Layout(arguments.store).latest_plan, plan)
    finish(store, PLAN.address(arguments), plan)
    recipe = weights.chosen or ", ".join(filter(None, (weights.network, in_words(plan.train, TrainOptions()))))
    keep(store, Layout(arguments.store).status.of_model(plan.model_name).training, lambda _: training_status(plan, recipe, now_utc()))
    return plan


def _further_trainings(
    train: TrainOptions, weights: WeightsResult, digest: str, arguments: PlanArguments
) -> list[tuple[PlannedTraining, WeightsResult]]:
    """Plan the trainings with further seeds, each under the run key that it has alone."""
    starts = [weights.model_copy(update={"uri": start.uri, "sha256": start.sha256, "repeats": ()}) for start in weights.repeats]
    return [
        (plan_training(arguments.store, digest, options, start, arguments.model_name, arguments.force_token), start)
        for options, start in zip(repeats_of(train, 1 + len(starts)), starts, strict=True)
    ]


def _plan_repeat(plan: PlanResult, training: PlannedTraining, weights: WeightsResult, deciding_split: SplitName, store: Store) -> Repeat:
    """Write the plan of a further seed, scored on the deciding split; it decides nothing."""
    place = training.run.comparison(Decision(plan.decision_uri).key)
    repeat = plan.model_copy(
        update={
            "run_key": training.run_key,
            "run_uri": training.run.folder_uri,
            "train": training.train,
            "weights": weights,
            "decision_uri": place.folder_uri,
            "champion": None,
            "previous": None,
            "evaluations": (training.evaluation(plan.evaluate, deciding_split),),
        }
    )
    finish(store, place.plan, repeat)
    return Repeat(seed=training.train.seed, run_key=training.run_key, plan_uri=place.plan.folder_uri)


def rate_warning(train: TrainOptions, fps: int) -> str | None:
    """Say that clips play at another speed to a video network, if they do."""
    if train.family is not Family.VIDEO or fps == CLIP_FPS:
        return None
    return (
        f"{train.backbone} knows motion in clips of {CLIP_FPS} frames per second, and in these of {fps} it sees things move {CLIP_FPS / fps:.2g} times as "
        f"fast; cut the videos with fps={CLIP_FPS}, or compare with family TSN"
    )


def _stop_if_decided(store: Store, run: Run, decision: Decision, champion: Champion | None, planned: Sequence[Evaluation]) -> None:
    """Stop if this decision was made before, or its network is champion and was scored."""
    listed = sorted(store.list(run.decisions), key=lambda stored: (stored.modified, stored.uri))
    decided = [earlier for stored in listed if (earlier := deciding(stored.uri, "decide"))]
    if not decided:
        return
    latest = store.read(decided[-1].decide)
    asked_before = store.exists(decision.decide.uri)
    is_scored = all(store.exists(Scores(evaluation.out).uri) for evaluation in planned if evaluation.model == "fine-tuned")
    if asked_before or (champion and champion.version == latest.version and is_scored):
        where = (decision if asked_before else decided[-1]).folder_uri
        raise NothingToDo(
            f"these options trained this dataset before: {latest.model_name} version {latest.version}, {training_page(latest.mlflow_run_url)} ({where}). "
            "In the form, tick Decide again for another decision on it, or Train again"
        )


def _champion(arguments: PlanArguments, run_key: str, registry: Registry, store: Store) -> tuple[Champion | None, PlanResult | None]:
    """Find the champion, and the plan of its training if the store has it."""
    version = registry.champion(arguments.model_name)
    # A provisional champion may still pass the gate, which it never does against itself.
    if version is None or (version.provisional and version.run_key == run_key):
        return None, None
    trained = next(iter(plans_of(run_of(version, arguments.store), store)), None)
    if trained and (removed := _removed_parts(trained)):
        raise BadConfiguration(
            f"the champion, version {version.version}, cannot be scored, since this version of Retake no longer has its {listed(removed)}; "
            "roll back, or remove the alias champion in MLflow"
        )
    return _opponent(version, trained), trained


def _previous(
    model_name: str,
    run: Run,
    champion: Champion | None,
    deciding_uids: Collection[str],
    deciding_split: SplitName,
    registry: Registry,
    store: Store,
) -> tuple[Champion | None, str]:
    """Find the version before this run's, or the reason for its absence."""
    version = registry.previous(model_name, run.key)
    if version is None:
        return None, ""
    if champion and champion.version == version.version:
        return None, f"version {version.version}, the champion"
    trained = next(iter(plans_of(run_of(version, run.store_uri), store)), None)
    reason = ""
    if not store.exists(version.checkpoint_uri):
        reason = "its checkpoint is gone from the store"
    elif trained is None or not store.exists(Dataset(trained.dataset_uri).manifest.uri):
        reason = "the clips that it was trained on are not known any more"
    elif removed := _removed_parts(trained):
        reason = f"this version no longer has its {listed(removed)}"
    else:
        seen = {clip.uid for clip in store.read(Dataset(trained.dataset_uri).manifest).clips if clip.split == "train"}
        if shared := len(seen.intersection(deciding_uids)):
            reason = f"it was trained on {shared:,} of the {count(len(deciding_uids), f'{deciding_split} clip')}"
    if not reason:
        return _opponent(version, trained), ""
    log.warning("version %d, the previous one, is not compared: %s", version.version, reason)
    return None, f"version {version.version} is not compared: {reason}"


def _removed_parts(trained: PlanResult) -> list[str]:
    """List the parts of a network and its members that this version no longer has."""
    gone = [f"{name} {value}" for name, value in trained.train.gone.items() if name in PARTS]
    retired = NetworkOptions.retired_values
    for member in trained.weights.members:
        gone += [f"{name} {value}" for name, value in (("modality", member.modality), ("backbone", member.sound)) if value in retired[name]]
        gone += [f"head {head}" for head in retired["head"] if f", {head} head" in member.network]
        gone += [f"{name} {value}" for name, value in (member.flow.gone if member.flow else {}).items() if name in PARTS]
    return list(dict.fromkeys(gone))


def _opponent(version: RegisteredVersion, trained: PlanResult | None) -> Champion:
    return Champion(
        version=version.version,
        checkpoint_uri=version.checkpoint_uri,
        checkpoint_sha256=version.checkpoint_sha256,
        flows=flows_of(trained) if trained else (),
        sounds=sounds_of(trained) if trained else (),
        provisional=version.provisional,
    )


def evaluations(
    place: Evaluations, splits: list[SplitName], deciding_split: SplitName, champion: Champion | None, previous: Champion | None = None
) -> list[Evaluation]:
    """List evaluations: baseline and new network on every split, versions on the deciding one."""
    pairs: list[tuple[ModelRole, SplitName, str]] = [(model, split, model) for model in ("baseline", "fine-tuned") for split in splits]
    opponents: tuple[tuple[ModelRole, Champion | None], ...] = (("champion", champion), ("previous", previous))
    pairs += [(model, deciding_split, f"{model}-{version.version}") for model, version in opponents if version]
    return [Evaluation(model=model, split=split, out=place.scores(name, split).folder_uri) for model, split, name in pairs]
