"""What goes and what stays, on random stores: nothing that is needed goes, and a kill leaves nothing that cannot be used."""

import csv
import io
import json
import os
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput, Unavailable
from tasks.store.layout import Layout
from tasks.store.records.decisions import ChampionMove, DecisionRecord
from tasks.store.records.status import SpaceStatus
from tasks.store.records.upkeep import Tombstone
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.mlflow_in_memory import MlflowInMemory, connected
from tests.pipeline.shelf import Fragile, Killed
from tests.records import some

ROOT = Layout(STORE)
KEYS = [f"{number:016x}" for number in range(0xA0, 0xA6)]
PREDICTIONS = [f"{number:016x}" for number in range(0xB0, 0xB3)]
keys, prediction_keys = st.sampled_from(KEYS), st.sampled_from(PREDICTIONS)
few = st.lists(keys, max_size=2, unique=True)
days = st.sampled_from([1, 100])


@dataclass(frozen=True)
class World:
    """What a store has, by keys: trainings with age, start and opponents; what asks for trainings, with its age; their roots."""

    runs: dict = field(default_factory=dict)
    repeats: dict = field(default_factory=dict)
    """Further seeds of trainings, by the plan in a comparison."""
    predictions: dict = field(default_factory=dict)
    searches: dict = field(default_factory=dict)
    plans: dict = field(default_factory=dict)
    comparisons: dict = field(default_factory=dict)
    choices: dict = field(default_factory=dict)
    """Starting weights that a form selects."""
    waiting: list = field(default_factory=list)
    """Trainings whose promotion awaits an answer."""
    before: list = field(default_factory=list)
    """The champion before each promotion."""
    decided: list = field(default_factory=list)
    """Trainings with what was decided, the oldest first."""
    aliased: list = field(default_factory=list)
    recipes: list = field(default_factory=list)
    """Trainings that a saved recipe names, the first by the number of its version."""
    shown: list = field(default_factory=list)
    """Predictions on the page."""


asking = st.dictionaries(st.sampled_from(["one", "two"]), st.tuples(days, few))
worlds = st.builds(
    World,
    runs=st.dictionaries(keys, st.tuples(days, few, few), max_size=6),
    predictions=st.dictionaries(prediction_keys, st.tuples(days, few), max_size=3),
    repeats=st.dictionaries(keys, few, max_size=2),
    searches=asking,
    plans=asking,
    comparisons=asking,
    choices=asking,
    waiting=few,
    before=few,
    decided=st.lists(st.tuples(keys, st.sampled_from(["promoted", "kept"])), max_size=3),
    aliased=few,
    recipes=few,
    shown=st.lists(prediction_keys, max_size=1),
)


def checkpoint(key):
    return ROOT.run(key).train.best


def build(world):
    """Make the store and the registry of a world."""
    store, mlflow = Fragile(), MlflowInMemory()

    def put(uri, age_days, said=""):
        store.objects[uri] = said if isinstance(said, bytes) else json.dumps(said).encode()
        store.written[uri] = datetime.now(UTC) - timedelta(days=age_days)

    def record(uri, content):
        put(uri, 100, content.model_dump_json().encode())

    for key, (age_days, starts, opponents) in world.runs.items():
        run = ROOT.run(key)
        for uri in (
            run.train.uri,
            run.train.best,
            run.train.last,
            run.register.uri,
            run.evaluations("e").scores("baseline", "val").predictions,
        ):
            put(uri, age_days)
        members, teachers = ([checkpoint(start) for start in some_of] for some_of in (starts[:1], starts[1:]))
        plan = {"weights": {"members": members}, "teacher": teachers, "champion": [checkpoint(other) for other in opponents]}
        put(run.decision("d").plan.uri, age_days, plan)
        put(run.decision("d").report.uri, age_days)
        if key not in world.waiting:
            put(run.decision("d").decide.uri, age_days)
        if key in world.repeats:
            put(run.comparison("c").plan.uri, age_days, {"repeats": [checkpoint(seed) for seed in world.repeats[key]]})
    for key, (age_days, models) in world.predictions.items():
        place = ROOT.prediction(key)
        put(place.plan.uri, age_days, {"model": [checkpoint(model) for model in models]})
        put(place.scored("v").clips, age_days, b"PAR1")
        put(place.scored("v").uri, age_days)
        put(place.report.uri, age_days)
    for key, (age_days, claimed) in world.searches.items():
        place = ROOT.search(key).on("d")
        put(ROOT.search(key).uri, age_days)
        put(place.weights("w").uri, age_days, {"uri": [checkpoint(start) for start in claimed[:1]]})
        for own in claimed[1:]:
            put(place.claim(own), age_days, b"trained by this search\n")
    for key, (age_days, runs) in world.plans.items():
        put(ROOT.plan(key).uri, age_days, {"run_keys": runs})
    for key, (age_days, runs) in world.comparisons.items():
        put(ROOT.comparison(key).uri, age_days)
        for own in runs:
            put(ROOT.comparison(key).on("d").claims.of(own), age_days, b"configuration 1\n")
    for key, (age_days, starts) in world.choices.items():
        put(ROOT.weights(key).uri, age_days, {"uri": [checkpoint(start) for start in starts]})
    mlflow.create_registered_model("m", {"retake.store": STORE})
    for number, key in enumerate(world.runs, 1):
        tags = {"retake.checkpoint_uri": checkpoint(key), "retake.checkpoint_sha256": "0", "retake.run_key": key}
        mlflow.create_model_version("m", source="", run_id="r", tags=tags)
        if key in world.aliased:
            mlflow.set_registered_model_alias("m", f"a{number}", str(number))
    numbers = {key: number for number, key in enumerate(world.runs, 1)}
    champion = next((numbers.get(key, 99) for key in world.before), None)
    for number, (key, event) in enumerate(world.decided, 1):
        decided = {"time": f"2026-01-0{number}", "version": number, "event": event, "run_key": key, "champion_before": champion}
        decision = some(DecisionRecord, model_name="m", **decided)
        record(ROOT.decision(f"{number}").uri, decision)
        if event == "promoted":
            record(ROOT.champion_move("m", number).uri, ChampionMove(number=number, decision=decision, key="k"))
    versions = {key: f"models:/m/{number}" for key, number in numbers.items()}
    named = [versions.get(key, "models:/m/99") for key in world.recipes[:1]] + [f"runs/{key}/" for key in world.recipes[1:]]
    put(ROOT.stored_recipe("mine").uri, 100, {"options": {"fuse": named}})
    put(ROOT.status.predictions.uri, 100, {"predictions": [ROOT.prediction(key).folder_uri for key in world.shown]})
    put(ROOT.status.of_model("m").model.uri, 100, {"versions": [{"run_key": key} for key in KEYS]})
    for uri in (ROOT.clips("v", "r").clip(0), ROOT.dataset("d").manifest.uri, ROOT.video("v").probe.uri, ROOT.ingest("i").inventory.uri):
        put(uri, 1000)
    put(ROOT.ingest("i").batch(0).uri, 1000)
    return SimpleNamespace(store=store, mlflow=mlflow)


def needed_runs(world):
    """Say which trainings of a world are needed, and which predictions are: the rules in other words."""
    new = {key for key, (age_days, *_) in world.runs.items() if age_days < 90}
    in_time = [key for age_days in (100, 1) for key, (age, _) in world.predictions.items() if age == age_days]
    predictions = {key for key, (age_days, _) in world.predictions.items() if age_days < 90} | {*world.shown, *in_time[-1:]}
    predictions &= world.predictions.keys()
    roots = new | set(world.aliased) | set(world.recipes) | {key for key, event in world.decided if event == "promoted"}
    roots |= {key for key, _ in world.decided[-1:]} | set(world.waiting)
    roots |= {key for key in world.before[:1] if any(event == "promoted" for _, event in world.decided)}
    asking = (world.searches, world.plans, world.comparisons, world.choices)
    roots |= {key for asked in asking for age_days, runs in asked.values() if age_days < 90 for key in runs}
    roots |= {key for prediction in predictions for key in world.predictions[prediction][1]}
    while True:
        begun = {start for key in roots & world.runs.keys() for start in world.runs[key][1]}
        begun |= {seed for key in roots & world.runs.keys() for seed in world.repeats.get(key, ())}
        opposed = {other for key in new & roots for other in world.runs[key][2]}
        if begun | opposed <= roots:
            return roots & world.runs.keys(), predictions
        roots |= begun | opposed


def clean_up(made, cache="/nowhere", *, dry_run=False):
    with pytest.MonkeyPatch.context() as patch:
        connected(made.mlflow, patch)
        patch.setenv("RETAKE_CACHE_DIR", str(cache))
        return Bench(made.store).run("clean_up", keep_days=90, keep_runs=1, dry_run=dry_run)


A, B, C = KEYS[:3]
UNDECIDED = {A: (100, [], [B]), B: (100, [], [])}


@pytest.mark.slow
@settings(max_examples=60)
@example(World(runs=UNDECIDED, aliased=[A]))
@example(World(runs=UNDECIDED, aliased=[A], repeats={A: [B]}))
@example(World(runs={A: (100, [C, B], []), B: (100, [], []), C: (100, [], [])}, aliased=[A]))
@example(World(runs=UNDECIDED, comparisons={"one": (1, [B])}))
@example(World(runs=UNDECIDED, choices={"one": (1, [B])}))
@example(World(runs=UNDECIDED, decided=[(A, "promoted")], before=[B]))
@example(World(runs=UNDECIDED, waiting=[B]))
@example(World(runs=UNDECIDED, decided=[(A, "kept"), (B, "kept")]))
@given(worlds)
def test_nothing_that_is_needed_goes_and_all_else_of_age_does(world):
    made = build(world)
    before = set(made.store.objects)
    result = clean_up(made)
    gone = before - set(made.store.objects)
    assert result.num_objects == len(gone)
    runs, predictions = needed_runs(world)
    for key in world.runs:
        assert (checkpoint(key) in gone) == (key not in runs), key
        assert ROOT.run(key).decision("d").plan.uri not in gone
    for key in world.predictions:
        assert (ROOT.prediction(key).report.uri in gone) == (key not in predictions), key
    others = ("runs/", "predictions/", "plans/", "searches/", "ingests/i/batches/")
    assert not [uri for uri in gone if not uri.removeprefix(ROOT.folder_uri).startswith(others)]
    assert clean_up(made).num_objects == 0


@pytest.mark.slow
@settings(max_examples=60)
@given(worlds, st.data())
def test_a_kill_leaves_no_mark_without_what_it_stands_for_and_the_next_run_goes_on(world, data):
    made, whole = build(world), build(world)
    before = set(made.store.objects)
    num_gone = clean_up(whole).num_objects
    made.store.deletes_at_most = data.draw(st.integers(0, max(0, num_gone - 1)))
    with pytest.raises(Killed) if num_gone else nullcontext():
        clean_up(made)
    for mark in (uri for uri in made.store.objects if uri.endswith("/result.json")):
        beside = {uri for uri in before if uri.startswith(mark.removesuffix("result.json"))}
        assert {uri for uri in beside if not uri.endswith(".json")} <= set(made.store.objects), mark
    for key, version in zip(world.runs, made.mlflow.versions.values(), strict=True):
        is_known = "retake.checkpoint_uri" in version.tags
        assert not is_known or checkpoint(key) in made.store.objects
        assert is_known or ROOT.run(key).register.uri not in made.store.objects
        assert ROOT.run(key).train.last not in made.store.objects or checkpoint(key) in made.store.objects
    for search, (_, started) in world.searches.items():
        has_start = ROOT.search(search).on("d").weights("w").uri in made.store.objects
        assert not has_start or not set(map(checkpoint, started[:1])) & (before - set(made.store.objects))
    made.store.deletes_at_most = None
    clean_up(made)
    assert set(made.store.objects) == set(whole.store.objects)


@pytest.fixture
def old():
    """A store with one training that is not needed and one that is, and a part of an upload that was given up."""
    made = build(World(runs=UNDECIDED, aliased=[B]))
    made.store.uploads = {f"{STORE}/inbox/a.mp4": datetime.now(UTC) - timedelta(days=8)}
    return made


def test_a_dry_run_lists_what_a_run_deletes_and_deletes_nothing(old):
    objects = set(old.store.objects)
    listed = clean_up(old, dry_run=True)
    assert objects <= set(old.store.objects)
    assert old.store.uploads
    rows = list(csv.DictReader(io.StringIO(old.store.read_bytes(listed.list_uri).decode())))
    gone = clean_up(old)
    assert {(row["folder"], row["kind"]) for row in rows} == {
        (ROOT.run(A).folder_uri, "training"),
        (ROOT.ingest("i").folder_uri, "record of an ingest"),
    }
    assert all(row["reason"] for row in rows)
    assert (gone.num_objects, gone.num_uploads) == (listed.num_objects, listed.num_uploads) == (6, 1)
    assert old.store.uploads == {}
    assert "would go" in listed.summary
    assert "went" in gone.summary


def test_the_page_learns_the_space_before_and_after_by_folder(old):
    clean_up(old)
    space = old.store.read(ROOT.status.space.uri, SpaceStatus)
    before, after = ({use.name: use.num_objects for use in of} for of in (space.before, space.after))
    left = Counter(uri.removeprefix(ROOT.folder_uri).split("/")[0] for uri in old.store.objects)
    assert (before["runs"], after["runs"]) == (16, left["runs"])
    assert not space.is_dry_run
    assert [use.name for use in space.after if use.is_cache] == ["cache of this machine"]


def test_a_version_whose_checkpoint_went_has_no_run_key(old):
    clean_up(old)
    gone, kept = (old.mlflow.get_model_version("m", number).tags for number in "12")
    assert gone == {"retake.trained_by": A}
    assert kept["retake.run_key"] == B


def test_an_alias_among_many_models_keeps_its_training(old):
    for number in range(100):
        old.mlflow.create_registered_model(f"another {number}")
    old.mlflow.models["m"] = old.mlflow.models.pop("m")
    clean_up(old)
    assert checkpoint(B) in old.store.objects


@pytest.mark.parametrize("plan", [ROOT.run(A).decision("new").plan, ROOT.prediction(PREDICTIONS[0]).plan], ids=["in it", "elsewhere"])
def test_a_training_that_is_planned_with_meanwhile_stays(old, monkeypatch, plan):
    said = json.dumps({"model": checkpoint(A)}).encode()
    monkeypatch.setattr("tasks.pipeline.clean_up.clean_up.collect_garbage", lambda *_: old.store.write_bytes(plan.uri, said))
    old.store.now = datetime.now(UTC)
    result = clean_up(old)
    assert result.num_objects == 1
    assert ROOT.run(A).train.uri in old.store.objects
    assert ROOT.run(A).folder_uri not in old.store.read_bytes(result.list_uri).decode()


def test_where_the_tool_of_mlflow_fails_nothing_has_gone_and_the_next_run_reports_all(old, monkeypatch):
    before = set(old.store.objects)

    def fail(settings, keep_days):
        assert keep_days == 90
        raise Unavailable("mlflow gc failed")

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr("tasks.pipeline.clean_up.clean_up.collect_garbage", fail)
        clean_up(old)
    assert before <= set(old.store.objects)
    result = clean_up(old)
    assert (result.num_objects, result.num_uploads) == (6, 1)
    assert ROOT.run(A).folder_uri in old.store.read_bytes(result.list_uri).decode()


def test_nothing_goes_where_a_decision_cannot_be_read(old):
    old.store.write_bytes(ROOT.decision("x").uri, b"{}")
    before = set(old.store.objects)
    with pytest.raises(BadInput, match=r"decisions/x\.json"):
        clean_up(old)
    assert set(old.store.objects) == before


def test_files_of_the_cache_that_were_not_used_for_long_or_are_of_a_forgotten_video_go(tmp_path):
    made = build(World())
    made.store.write(ROOT.forgotten.tombstone("v"), Tombstone(number=1, clip_hashes=("f0",)))
    files = {name: tmp_path / "frames" / "v" / name for name in ("old.npy", "new.npy", "f0.npy")}
    files["old.npy"].parent.mkdir(parents=True)
    for path in files.values():
        path.write_bytes(b"12")
    long_ago = (datetime.now(UTC) - timedelta(days=100)).timestamp()
    os.utime(files["old.npy"], (long_ago, long_ago))
    result = clean_up(made, cache=tmp_path)
    assert (result.num_cache_files, result.cache_bytes) == (1, 2)
    assert [name for name, path in files.items() if path.exists()] == ["new.npy"]
