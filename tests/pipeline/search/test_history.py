"""What becomes of later rounds, of the seeds and of the key of a search where earlier results change."""

import json
from functools import partial
from pathlib import Path

import pytest

from tasks.errors import BadConfiguration, BadDataset, MissingObject
from tasks.options import LIGHT, EvaluateOptions
from tasks.options.search import RANGES
from tasks.pipeline.search import search_report
from tasks.pipeline.search._rounds import all_trials, trained_seeds, trials_before
from tasks.store.derived import trials_of_batch
from tasks.store.layout import Dataset, Layout
from tasks.store.records.record import TARGETS
from tasks.store.records.search import Top1, TrialBatch, TrialScore, TrialsResult
from tasks.store.run_layout import SearchPlan
from tests.judge.search.trials import trial
from tests.pipeline.in_process import STORE
from tests.pipeline.shelf import Killed

FORM = {"folds": 0, "search": ["learning_rate", "dropout"], "num_trials": 20, "rounds": 2, **LIGHT.model_dump(mode="json")}


@pytest.fixture
def bench(bench, monkeypatch):
    monkeypatch.setattr(search_report, "now_utc", lambda: "2026-11-27T11:00:00Z")
    return bench


def planned(bench, **changes):
    return bench.run("search_plan", **FORM | changes)


def train(bench, suggested, seconds=1.0, without=()):
    """Score the trials of a round: trial 1 wins, others by their dropout. Those of `without` leave no result."""
    for ref in suggested.batches:
        place, batch = trials_of_batch(ref.uri), bench.store.read(ref.uri, TrialBatch)
        for asked in batch.trials:
            if asked.number not in without:
                top1 = Top1(top1=1 if asked.number == 1 else asked.options.dropout / 2, interval=(0, 1))
                done = trial(
                    asked.number,
                    loss=1,
                    scores=dict.fromkeys(TARGETS, top1),
                    round=batch.round,
                    values=asked.values,
                    options=asked.options,
                    run_keys=(f"run-{asked.number}",),
                    num_epochs=asked.options.epochs,
                    seconds=seconds,
                    latency_seconds=1.0 + asked.number,
                )
                right = {"action": "1" * len(bench.val_of(Dataset(bench.store.read(Layout(STORE).latest_dataset).dataset_uri)))}
                score = TrialScore(run_key=done.run_keys[0], epochs=(), seconds=1, loss=1, right=right)
                bench.store.write(Layout(STORE).run(done.run_keys[0]).validation(EvaluateOptions().crops), score)
                bench.store.write(place.trial(asked.number), done)
        bench.store.write(place, TrialsResult(num_trials=len(batch.trials), num_failed=0))


def suggested(bench, plan, number):
    return bench.run("suggest", search=plan.search_uri, round=number)


def trained(bench, plan, batch):
    return bench.run("train_trials", search=plan.search_uri, batch=batch)


def gathered(bench, plan, number, failures="[]"):
    return bench.run("gather", search=plan.search_uri, round=number, failures=failures)


def repeated(bench, plan):
    return bench.run("repeat_winner", search=plan.search_uri)


def reported(bench, plan):
    return bench.run("search_report", search=plan.search_uri)


def searched(bench, plan, **first):
    """Both rounds, from whatever lies in the store."""
    suggestions = []
    for number in (1, 2):
        suggestions.append(suggested(bench, plan, number))
        train(bench, suggestions[-1], **(first if number == 1 else {}))
        gathered(bench, plan, number)
    return suggestions


def test_the_first_trial_is_the_recipe_of_the_form_and_each_other_one_is_within_the_ranges(bench):
    plan = planned(bench, ranges=["learning_rate=1e-4..1e-2 log", "dropout=0..0.5"])
    searched(bench, plan)
    first, *others = all_trials(plan, bench.store)
    assert first.values == {"learning_rate": LIGHT.learning_rate, "dropout": LIGHT.dropout}
    assert [trial.number for trial in others] == list(range(1, 20))
    assert all(1e-4 <= trial.values["learning_rate"] <= 1e-2 and 0 <= trial.values["dropout"] <= 0.5 for trial in others)


def whole(bench):
    """A search from the plan to the report."""
    plan = planned(bench, num_trials=4)
    searched(bench, plan)
    train(bench, repeated(bench, plan))
    return reported(bench, plan)


@pytest.mark.slow
def test_a_search_that_is_killed_before_any_write_ends_with_the_same_table_and_retrains_the_same_winner(bench, monkeypatch):
    monkeypatch.setattr(search_report, "search_page", lambda *_: "page")
    before = dict(bench.store.objects)
    calm = whole(bench)
    expected, num_writes = dict(bench.store.objects), bench.store.num_writes
    assert calm.retrain_run_id.startswith("search__")
    for number in range(num_writes):
        bench.store.objects, bench.store.num_writes, bench.store.dies_at = dict(before), 0, number
        with pytest.raises(Killed):
            whole(bench)
        bench.store.dies_at = None
        assert whole(bench) == calm
        assert bench.store.objects == expected


def test_a_trial_that_is_trained_after_it_failed_leads_to_new_suggestions_beside_the_old_ones(bench):
    plan = planned(bench)
    failing = searched(bench, plan, without=(1, 2))
    before = dict(bench.store.objects)
    train(bench, failing[0])
    gathered(bench, plan, 1)
    assert [trial.number for trial in all_trials(plan, bench.store)] == list(range(10))
    with pytest.raises(MissingObject, match="round 2"):
        trials_before(3, SearchPlan(plan.search_uri), bench.store)
    again = suggested(bench, plan, 2)
    assert {ref.uri for ref in again.batches}.isdisjoint(ref.uri for ref in failing[1].batches)
    assert not any(bench.store.exists(trials_of_batch(ref.uri).uri) for ref in again.batches)
    train(bench, again)
    gathered(bench, plan, 2)
    assert [trial.failure for trial in all_trials(plan, bench.store)] == [None] * 20
    kept = [uri for uri in before if "/batches/" in uri or "/trials/" in uri]
    assert {uri: bench.store.objects[uri] for uri in kept} == {uri: before[uri] for uri in kept}


def test_a_failure_with_another_reason_leads_to_the_same_suggestions(bench):
    plan = planned(bench)
    _, second = searched(bench, plan, without=(1,))
    gathered(bench, plan, 1, failures=json.dumps([{"map_index": 0, "step": "train_trials", "reason": "killed"}]))
    assert suggested(bench, plan, 2) == second
    assert [trial.failure for trial in all_trials(plan, bench.store)][1] is not None
    assert len(all_trials(plan, bench.store)) == 20


def test_a_new_winner_gets_new_seeds_and_those_of_the_former_one_do_not_count(bench):
    plan = planned(bench)
    searched(bench, plan, without=(1, 2))
    old = repeated(bench, plan)
    train(bench, old)
    assert len(trained_seeds(plan, all_trials(plan, bench.store), bench.store)) == 3
    searched(bench, plan)
    assert trained_seeds(plan, all_trials(plan, bench.store), bench.store) == ()
    new = repeated(bench, plan)
    assert {ref.uri for ref in new.batches}.isdisjoint(ref.uri for ref in old.batches)
    best = all_trials(plan, bench.store)[1]
    (batch,) = (bench.store.read(ref.uri, TrialBatch) for ref in new.batches)
    assert [(trial.values, trial.options.seed) for trial in batch.trials] == [(best.values, seed) for seed in (1, 2, 3)]
    train(bench, new)
    assert len(trained_seeds(plan, all_trials(plan, bench.store), bench.store)) == 3


@pytest.mark.parametrize(
    ("changes", "views_seed"), [({}, 0), ({"views_seed": 7}, 7), ({"head": "probe"}, None), ({"trainable": "last-stage"}, None)]
)
def test_new_seeds_keep_the_views_of_heads_that_draw_something_else(bench, changes, views_seed):
    plan = planned(bench, num_trials=1, rounds=1, **changes)
    train(bench, suggested(bench, plan, 1))
    gathered(bench, plan, 1)
    trials = [trial for ref in repeated(bench, plan).batches for trial in bench.store.read(ref.uri, TrialBatch).trials]
    assert [(trial.options.seed, trial.options.views_seed) for trial in trials] == [(seed, views_seed) for seed in (1, 2, 3)]


def test_what_airflow_keeps_of_a_round_does_not_grow_with_its_trials(bench):
    sizes = []
    for num_trials in (2, 200):
        plan = planned(bench, num_trials=num_trials)
        train(bench, suggested(bench, plan, 1))
        sizes.append(len(gathered(bench, plan, 1).model_dump_json()))
    assert max(sizes) < 1000
    assert len(all_trials(plan, bench.store)) == 100


@pytest.mark.parametrize(("num_sources", "num_folds"), [(3, 3), (2, 2), (1, 0)])
def test_nobodys_choice_of_folds_is_as_many_as_train_can_have_and_a_chosen_number_is_kept_or_refused(bench, num_sources, num_folds):
    dataset = Dataset(bench.store.read(Layout(STORE).latest_dataset).dataset_uri)
    manifest = bench.store.read(dataset.manifest)
    sources = sorted({clip.source for clip in manifest.clips if clip.split == "train"})[:num_sources]
    clips = tuple(clip for clip in manifest.clips if clip.split != "train" or clip.source in sources)
    bench.store.write(dataset.manifest, manifest.model_copy(update={"clips": clips}))
    plan = planned(bench, folds=None)
    assert (plan.search.folds, len(plan.fold_uris)) == (num_folds, max(1, num_folds))
    assert (plan.fold_uris == (dataset.folder_uri,)) == (not num_folds)
    with pytest.raises(BadDataset, match="folds=0, which scores on val"):
        planned(bench, folds=5)
    train = tuple(clip for clip in clips if clip.split == "train")
    bench.store.write(dataset.manifest, manifest.model_copy(update={"clips": train}))
    with pytest.raises(BadDataset, match=f"{dataset.folder_uri} has no clip in val to score trials on; .* or leave `folds` empty"):
        planned(bench, folds=0)


def test_options_without_an_effect_on_trials_leave_the_key(bench):
    keys = {planned(bench, **changes).key for changes in ({}, {"engine": "pytorch"}, {"bootstrap_resamples": 500}, {"then_retrain": True})}
    assert len(keys) == 1
    assert planned(bench, crops=1).key not in keys


def test_a_search_of_an_earlier_version_goes_on_from_its_trials_to_the_report(bench):
    plan = planned(bench, num_trials=4)
    place, earlier = SearchPlan(plan.search_uri), json.loads((Path(__file__).parent / "earlier.json").read_bytes())
    train(bench, suggested(bench, plan, 1))
    gathered(bench, plan, 1)
    written = json.loads(bench.store.read_bytes(place.uri)) | {part: earlier[part] for part in ("search", "train")}
    bench.store.write_bytes(place.uri, json.dumps(written | {"clip_seconds": 2.0, "cut": "grid"}).encode())
    bench.store.write_bytes(place.round(1).gather.trials.uri, json.dumps({"trials": earlier["trials"]}).encode())
    second, early = suggested(bench, plan, 2), reported(bench, plan)
    digests = [second.inputs_digest, early.inputs_digest]
    assert digests == [earlier["digest"], earlier["report_digest"]], "what was suggested and reported of them stays"
    train(bench, second)
    gathered(bench, plan, 2)
    assert len(all_trials(plan, bench.store)) == 4
    train(bench, repeated(bench, plan))
    report = reported(bench, plan)
    assert (report.num_trials, report.winner.learning_rate, report.retrain["dropout"]) == (4, 0.02, 0.5)


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("search", {"search_sampler": "grid"}, ", .* removed: search_sampler="),
        ("search", {"search": ["dropout", "cut"]}, ", .* removed: search="),
        ("search", {"search": ["head"], "ranges": ["head=linear, lstm"]}, ": .*lstm was removed.*; start anew"),
        ("train", {"mixup": 0.2}, ", .* removed: mixup="),
        ("evaluate", {"engine": "openvino-int8"}, ", .* removed: engine="),
    ],
)
def test_a_search_that_was_planned_with_an_option_that_is_gone_is_read_and_does_not_go_on(bench, part, changes, said):
    plan = planned(bench, num_trials=1, rounds=1)
    first = suggested(bench, plan, 1)
    train(bench, first)
    assert gathered(bench, plan, 1).progress.startswith("round 1 of 1, 1 trial; best is trial 0")
    (batch,) = (ref.uri for ref in first.batches)
    bench.store.remove(trials_of_batch(batch).uri)
    place = SearchPlan(plan.search_uri)
    written = json.loads(bench.store.read_bytes(place.uri))
    bench.store.write_bytes(place.uri, json.dumps(written | {part: written[part] | changes}).encode())
    for step in (partial(suggested, number=2), partial(trained, batch=batch), partial(gathered, number=1), repeated, reported):
        with pytest.raises(BadConfiguration, match=f"{plan.search_uri} is from an earlier version{said}"):
            step(bench, plan)
    assert bench.store.read(place).model_dump(mode="json")[part] == written[part] | changes


@pytest.mark.parametrize("start", [{"weights": "trained", "checkpoint": "models:/m@champion"}, {"checkpoint": "runs/0123456789abcdef/"}])
def test_a_trained_start_is_refused_where_other_networks_are_searched(bench, start):
    asked = {"search": ["learning_rate", "num_segments"], "ranges": ["learning_rate=1e-4..1e-2 log", "num_segments=2, 3"]}
    with pytest.raises(BadConfiguration, match="fits one value of num_segments"):
        planned(bench, **asked, **start)
    assert planned(bench, **asked | {"search": ["learning_rate"]}, **start).search.search == ["learning_rate"]


def test_a_range_that_is_not_searched_changes_no_key(bench):
    lines = [f"{name}={values}" for name, values in RANGES.items()]
    older = [*(line for line in lines if not line.startswith("mirror=")), "mixup=0, 0.2, 0.4", "clip_seconds=2, 4, 8", "cut=grid, both"]
    plain, searched = planned(bench, ranges=lines), planned(bench, ranges=lines, search=["dropout", "mirror"])
    assert plain.key == planned(bench, ranges=older).key
    assert searched.key != plain.key


def test_a_search_from_a_recipe_lies_where_its_options_say_however_they_are_named(bench):
    bench.run("recipe save", names=["mine"], **LIGHT.model_dump())
    named = {name: value for name, value in FORM.items() if name not in LIGHT.model_dump()}
    addresses = {bench.run("search_plan", **named, preset=preset).search_uri for preset in ("mine", "light")}
    assert addresses == {planned(bench, preset="none").search_uri}
