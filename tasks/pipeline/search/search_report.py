"""Write the report of a search: page, table and numbers, also to MLflow."""

from collections import Counter
from collections.abc import Sequence

from tasks.judge.report.search import metrics_of, retrain_address, search_note, search_page, table, verdict
from tasks.judge.search.results import form_recipe, gain_over_form, importances, selection_bias
from tasks.judge.search.suggest import Space, pareto_front
from tasks.keys import content_key, without_later
from tasks.options import Options, RegisterOptions
from tasks.pipeline._results import earlier_result, finish, log, publish_files, schema_of
from tasks.pipeline.search._rounds import Data, all_trials, ranked_trials, require_current, scores_of, trained_seeds
from tasks.pipeline.search.contract import REPORT, SearchedArguments
from tasks.settings import MachineSettings, MlflowSettings, load, report_url
from tasks.store.objects import Store, to_json
from tasks.store.records.record import now_utc
from tasks.store.records.search import ScoredTrial, Search, SearchPlanResult, SearchReportResult
from tasks.store.run_layout import SearchPlan, SearchReport
from tasks.tracking import Tracker, search_run


def run(arguments: SearchedArguments, store: Store) -> SearchReportResult:
    """Report all trials of the finished rounds, and finished repeats of the winner.

    Raises:
        BadConfiguration: the search was planned with options that are gone, and has no report yet.
        BadInput: every trial failed.
    """
    place, plan = REPORT.address(arguments), store.read(SearchPlan(arguments.search))
    trials = all_trials(plan, store)
    seeds = trained_seeds(plan, trials, store)
    keyed = ((trial, without_later(trial.options.keyed(), type(trial.options))) for trial in (*trials, *seeds))
    inputs = content_key({"trials": [trial.model_dump(mode="json") | {"options": options} for trial, options in keyed]})
    earlier = earlier_result(store, place)
    if earlier and earlier.inputs_digest == inputs:
        log.info("%s", earlier.verdict)
        return earlier
    require_current(plan)
    search = numbers_of(plan, trials, seeds, store)
    winner = search.trials[search.winner]
    retrain = _retrain_parameters(plan, winner)
    tracker = Tracker(load(MlflowSettings))
    with search_run(tracker, plan) as run_id:
        publish_files(store, place, _files(place, search, retrain), tracker, run_id)
        tracker.log_metrics(run_id, metrics_of(search))
        tracker.set_tags(run_id, {"mlflow.note.content": search_note(search)})
    tracker.finish(run_id)
    url = tracker.run_url(run_id)
    result = SearchReportResult(
        key=plan.key,
        inputs_digest=inputs,
        report_uri=place.page,
        table_uri=place.csv,
        numbers_uri=place.numbers.uri,
        num_trials=len(trials),
        num_failed=sum(trial.failure is not None for trial in trials),
        winner=winner.options,
        retrain=retrain,
        retrain_run_id=f"search__{content_key({'search': plan.search_uri, 'retrain': retrain})}",
        starts_retrain=plan.search.then_retrain,
        verdict=verdict(search),
        report_url=report_url(place.page, f"{url}/artifacts/report.html"),
        mlflow_run_url=url,
    )
    log.info("%s", result.verdict)
    return finish(store, place, result)


def _retrain_parameters(plan: SearchPlanResult, winner: ScoredTrial) -> dict[str, object]:
    """Collect the parameters of `retrain` for the winner's recipe; others have their defaults."""
    given: list[Options] = [winner.options, plan.evaluate, RegisterOptions(model_name=plan.model_name)]
    values = {name: value for options in given for name, value in options.model_dump(mode="json", exclude_defaults=True).items()}
    return values | {"preset": "none", "store": SearchPlan(plan.search_uri).store_uri, "dataset": plan.dataset_uri}


def numbers_of(plan: SearchPlanResult, trials: Sequence[ScoredTrial], seeds: Sequence[ScoredTrial], store: Store) -> Search:
    """Compute the numbers of the report; raise BadInput if every trial failed."""
    data = Data.of(plan, store)
    target = data.target
    ranked = ranked_trials(trials, target)
    clips = [clip for fold in data.clips for clip in fold]
    sources = [clip.source for clip in clips]
    right = ["".join(score.right[target] for score in scores_of(trial, plan, store)) for trial in ranked]
    frequencies = Counter({"verb": lambda clip: clip.verb, "action": lambda clip: clip.action}[target](clip) for clip in clips)
    importance, note = importances(trials, Space.of(plan.search, plan.train).ranges, target)
    search = Search(
        created=now_utc(),
        plan=plan,
        targets=data.manifests[0].vocabulary.targets,
        num_clips=len(clips),
        num_sources=len(set(sources)),
        majority_top1=frequencies.most_common(1)[0][1] / len(clips),
        trials=tuple(trials),
        curves={trial.number: scores_of(trial, plan, store)[0].epochs for trial in trials if trial.failure is None},
        winner=ranked[0].number,
        pareto=pareto_front(trials, target),
        importances=importance,
        importance_note=note,
        bias=selection_bias(right, sources, 0).model_copy(update={"seeds": tuple(seeds)}),
    )
    return _with_gain(search, sources, store)


def _with_gain(search: Search, sources: Sequence[str], store: Store) -> Search:
    """Compare the new seeds with the recipe of the form, if another recipe won."""
    own, repeated = form_recipe(search), [seed for seed in search.bias.seeds if seed.failure is None]
    if own is None or own.number == search.winner:
        return search
    form, *seeds = (
        "".join(score.right[search.targets[-1]] for score in scores_of(trial, search.plan, store)) for trial in (own, *repeated)
    )
    if (measured := gain_over_form(seeds, form, sources)) is None:
        return search
    gain, interval = measured
    return search.model_copy(update={"bias": search.bias.model_copy(update={"gain": gain, "gain_interval": interval})})


def _files(place: SearchReport, search: Search, retrain: dict[str, object]) -> dict[str, bytes]:
    return {
        place.page: search_page(search, retrain, retrain_address(load(MachineSettings).airflow_url, retrain)).encode(),
        place.csv: table(search),
        place.numbers.uri: to_json(search),
        place.schema: schema_of(Search),
    }
