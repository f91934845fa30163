"""The layout from outside: what lies where, and that an address is read as it was made."""

import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.local.home_folder import REPOSITORY
from tasks.store import derived, layout, run_layout
from tasks.store.layout import Clips, Dataset, Layout, flow_of_clip, is_own_class, is_probe, sound_note_of_clip, sound_of_clip
from tasks.store.run_layout import Comparing, Decision, Run, deciding, find_decision, parse_run, run_beside, run_name
from tasks.store.stored import FIELD, Below, Folder, Keyed, Output, Stored

ROOT = "s3://store"
LEFT_OUT = {"digest", "file", "folder_uri", "holds", "key", "name_of", "place_uri", "recipe", "store_uri", "uri"}
"""What reads an address, and what names the place itself."""


@cache
def addresses() -> dict[str, str]:
    """Give every address below a store, with the name of its record's model where it has one."""
    clip = Layout(ROOT).clips("<video>", "<recipe>").clip(3)
    note = sound_note_of_clip(clip, "<sound recipe>")
    beside = ((flow_of_clip(clip, "<flow recipe>"), ""), (sound_of_clip(clip, "<sound recipe>"), ""), (note.uri, note.model.__name__))
    return {uri.removeprefix(f"{ROOT}/"): model for uri, model in (*_below(Layout(ROOT)), *beside)}


def _below(place: object) -> Iterator[tuple[str, str]]:
    if isinstance(place, str):
        if place.startswith(ROOT):
            yield place, ""
        return
    if isinstance(place, Stored):
        yield place.uri, place.model.__name__
    if isinstance(place, Folder):
        yield place.folder_uri, ""
    for name, member in inspect.getmembers_static(type(place)):
        if name.startswith("_") or name in LEFT_OUT:
            continue
        if isinstance(member, (property, Below)):
            yield from _below(getattr(place, name))
        elif isinstance(member, Keyed):
            _, key, spec, _ = FIELD.split(member.pattern)
            yield from _below(getattr(place, name)(3 if spec else f"<{key}>"))
        elif inspect.isfunction(member):
            hints = typing.get_type_hints(member)
            arguments = {name: 3 if kind is int else f"<{name}>" for name, kind in hints.items() if name != "return"}
            yield from _below(getattr(place, name)(**arguments))


GOLDEN = Path(__file__).parent / "layout.txt"
A_WHOLE_RUN = REPOSITORY / "tests" / "integration" / "addresses.txt"
HEAVY = ("minio", "mlflow", "numpy", "pandas", "torch")

stores = st.from_regex(r"s3://[a-z0-9]{3,8}(/[a-z0-9]{1,8}){0,2}", fullmatch=True)
keys = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
layouts = st.from_regex(r"s3://[a-z0-9]{3,8}(/(runs|plan|flows|[a-z0-9]{1,8})){0,3}", fullmatch=True).map(Layout)
numbers = st.integers(0, 123_456)
few = settings(max_examples=30)
names = st.from_regex(r"[\w .-]{1,20}(/[\w .-]{1,20}){0,2}", fullmatch=True)


def alike(address):
    """An address whose placeholders have no names and whose numbers are all one."""
    return re.sub(r"[0-9]+(?=[./-]|$)", "0", re.sub(r"<[^>]+>", "<>", address))


def test_every_address_and_its_model_stay_as_they_are():
    assert [f"{address} {model}".rstrip() for address, model in sorted(addresses().items())] == GOLDEN.read_text().splitlines()


def test_the_layout_knows_every_object_of_a_whole_run():
    places = {alike(address) for address in addresses()}
    # Beside a commit mark lie the files of its step, whose names are the step's own.
    folders = {address.removesuffix("result.json") for address in places if address.endswith(("/", "/result.json"))}
    known = re.compile("|".join(re.escape(place).replace("<>", "[^/]+") for place in places))
    beside = re.compile("|".join(re.escape(place).replace("<>", "[^/]+") + "[^/]+" for place in folders))
    left = [alike(address) for address in A_WHOLE_RUN.read_text().splitlines()]
    assert [address for address in left if not known.fullmatch(address) and not beside.fullmatch(address)] == []


def test_docstrings_name_places_that_are_made():
    modules = (layout, run_layout)
    classes = [kind for module in modules for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]
    members = [member for kind in classes for member in (kind, *vars(kind).values())]
    texts = [inspect.getdoc(getattr(member, "fget", None) or member) or "" for member in members]
    named = {alike(re.sub("<(number|index)>", "3", match[1])) for text in texts if (match := re.match(r"`([^`]+/[^`]+)`: ", text))}
    places = {alike(address) for address in addresses()}
    assert len(named) > 20
    assert {place for place in named if not any(address.startswith(place) for address in places)} == set()


def test_the_page_on_the_architecture_shows_every_place():
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    lines = text.partition("## The map of the store")[2].split("```")[1].splitlines()[1:]
    shown = {alike(re.sub(r"(?<=/)[^/]*$", "", re.split(r"  +|,|…|\*", line)[0])) for line in lines}
    places = {alike(address) for address in addresses()}
    # What is listed is the beginning of several places.
    listed = {address for address in places if address.endswith("/") and any(place.startswith(address) for place in shown)}
    assert {address for address in places - listed if not any(map(address.startswith, shown))} == set()
    assert {place for place in shown if not any(address.startswith(place) for address in places)} == set()


@few
@given(stores, keys, keys)
def test_a_run_and_a_decision_are_read_as_they_were_made(store, run_key, key):
    run = Layout(store).run(run_key)
    assert (run.store_uri, run.key) == (store, run_key)
    assert parse_run(run.folder_uri) == (store, run_key)
    assert parse_run(run_name(run_key)) == (None, run_key)
    assert run_beside(run.train.best, run_key, "s3://other") == run
    assert run_beside(f"{store}/pretrained/x.ckpt", run_key, store) == run
    decision = run.decision(key)
    assert decision.key == key
    assert deciding(decision.plan.uri, "plan") == deciding(decision.decide.uri, "decide") == decision
    assert deciding(decision.plan.uri, "decide") is None
    assert find_decision(f"trained before: model version 1 ({decision.folder_uri}). Tick") == decision


@few
@given(stores, keys, names)
def test_other_addresses_are_read_as_they_were_made(store, key, name):
    root = Layout(store)
    assert root.inbox.name_of(root.inbox.file(name)) == name
    assert root.dataset(key).digest == key
    assert Dataset.at(root.dataset(key).folder_uri) == Dataset.at(root.dataset(key).folder_uri.rstrip("/")) == root.dataset(key)
    assert Clips(root.clips("video", key).place_uri).recipe == key
    assert is_probe(root.video(key).probe.uri)
    assert not is_probe(root.video(key).source(".mp4"))
    assert is_own_class(root.own_class("verb", 125).uri)
    assert root.holds(root.run(key).train.best)


@pytest.mark.parametrize(
    "text", ["runs/0123/", "models:/retake-tsn@champion", "s3://retake/runs/0123456789abcdeg/", "x/runs/0123456789abcdef/"]
)
def test_no_other_text_is_a_run(text):
    assert parse_run(text) is None


@pytest.mark.parametrize("name", ["comparison.txt", "comparison.md"], ids=["today", "version 0.3.0"])
def test_a_comparison_is_found_by_its_result(name):
    comparing = Decision("s3://retake/runs/0123456789abcdef/decisions/0123456789abcdef/").compare

    class Result:
        table_uri = comparing.file(name)

    assert Comparing.of(Result) == comparing


def test_a_folder_without_its_slash_has_its_commit_mark_there_too():
    assert Output("s3://retake/plans/x", Run).uri == Output("s3://retake/plans/x/", Run).uri == "s3://retake/plans/x/result.json"


def test_templates_are_kept_as_they_are():
    assert Run("{{ plan['run_uri'] }}").train.folder_uri == "{{ plan['run_uri'] }}train/"
    assert Layout("{store}").ingest("{key}").summary.folder_uri == "{store}/ingests/{key}/summary/"


def test_the_layout_costs_no_import_of_anything_heavy():
    script = f"import sys, tasks.store.layout; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=REPOSITORY, text=True).strip() == "[]"


@few
@given(layouts, keys, keys, numbers)
def test_plans_batches_and_claims_lead_to_the_places_that_they_are_part_of(layout, key, digest, number):
    run, ingest, prediction = layout.run(key), layout.ingest(key), layout.prediction(key)
    for part in (run.decision(digest), run.comparison(digest)):
        assert derived.run_of_plan(part.plan.folder_uri) == run
        assert derived.decision_of_plan(part.plan.folder_uri) == derived.decision_of_plan(part.plan.folder_uri.rstrip("/")) == part
    assert derived.segment_of_batch(ingest.batch(number).uri, digest) == ingest.segment(digest, number)
    assert derived.predicted_of_batch(prediction.batch(number).uri) == prediction.predicted(number)
    assert derived.flow_of_batch(run.flows.batch(digest, number).uri) == run.flows.computed(digest, number)
    configurations, search = layout.comparison(key).on(digest), layout.search(key).on(digest)
    assert derived.prediction_of_plan(prediction.plan.folder_uri) == prediction
    assert derived.configurations_of_claims(configurations.claims.folder_uri) == configurations
    assert derived.search_at(search.folder_uri) == derived.search_at(search.folder_uri.rstrip("/")) == search
    for trained in (search.seeds, search.round(number)):
        assert derived.trials_of_batch(trained.batch(key).uri) == trained.trials(key)


@pytest.mark.parametrize(
    "find", [derived.decision_of_plan, derived.run_of_plan, derived.prediction_of_plan, derived.configurations_of_claims, derived.search_at]
)
def test_an_address_of_another_form_is_named(find):
    with pytest.raises(ValueError, match=r"s3://retake/plans/k/ does not have the form s3://"):
        find("s3://retake/plans/k/")
