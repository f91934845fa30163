"""The step that describes sound, as a process on a real store: for a network that hears, once per clip, and again where a part is missing."""

import pytest

from tasks.media.stored_sound import note_of, read_notes, read_stored, sound_uri
from tasks.model.sound.recipe import installed_recipe
from tasks.results.sound import SoundResult, SoundState
from tasks.results.training import Champion, PlanResult
from tasks.store.layout import Dataset
from tests.integration.conftest import CHAIN_STORE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "s3://retake-described"
PLAN = f"{STORE}/runs/x/decisions/x/plan/"


@pytest.fixture(scope="module")
def planned(workshop, chain):
    """A plan whose champion hears, on the films of the chain; its clips."""
    workshop.store.ensure_bucket(PLAN)
    plan = workshop.store.read(f"{chain.plan}result.json", PlanResult)
    champion = Champion(version=1, checkpoint_uri="s3://x", checkpoint_sha256="", sounds=("auto",))
    workshop.store.write(f"{PLAN}result.json", plan.model_copy(update={"champion": champion}))
    return workshop.store.read(Dataset(plan.dataset_uri).manifest).clips


def listing(workshop) -> list[tuple[str, str]]:
    found = [*workshop.store.list(f"{CHAIN_STORE}/clips/"), *workshop.store.list(STORE)]
    return [(one.uri, one.etag) for one in found]


def test_sound_is_described_once_and_what_is_lost_comes_back_byte_for_byte(workshop, planned):
    recipe = installed_recipe()
    result = SoundResult.model_validate(workshop.run("sound", store=STORE, plan=PLAN))
    assert (result.num_clips, result.num_described, result.num_silent, result.num_without_track) == (6, 6, 0, 0)
    assert result.recipes == (recipe,)
    assert {note.state for note in read_notes(workshop.store, planned, recipe)} == {SoundState.HEARD}
    assert read_stored(workshop.store, planned[0], recipe).log_mel.shape == (1601, 128)

    before = listing(workshop)
    workshop.run("sound", store=STORE, plan=PLAN)
    assert listing(workshop) == before

    workshop.remove(sound_uri(planned[0].uri, recipe))
    workshop.remove(note_of(planned[1], recipe).uri)
    mark = f"{STORE}/runs/x/sound/result.json"
    workshop.remove(mark)
    again = SoundResult.model_validate(workshop.run("sound", store=STORE, plan=PLAN))
    assert (again.num_described, again.warnings) == (2, result.warnings)
    assert [one for one in listing(workshop) if one[0] != mark] == [one for one in before if one[0] != mark]


def test_a_run_in_which_no_network_hears_skips_it(workshop, chain):
    done = workshop.attempt("sound", store=CHAIN_STORE, plan=chain.plan)
    assert (done.returncode, "no network of this run hears sound" in done.stderr) == (99, True)
