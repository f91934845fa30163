"""Networks of a comparison need what they see and hear, those that it only fuses, too."""

import pytest

from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.pipeline.retrain._networks import needs_of, needs_of_plan
from tasks.pipeline.retrain.contract import SoundArguments
from tasks.store.layout import Layout
from tasks.store.records.comparison import Configuration, ConfigureResult
from tasks.store.records.training import Champion
from tasks.store.run_layout import Configurations
from tests.pipeline.shelf import Shelf, plan_result, train_result

STORE = "s3://retake"
CONFIGURED = f"{STORE}/comparisons/k/d/"
ARGUMENTS = SoundArguments(store=STORE, configured=CONFIGURED)
HEARS, FLOWS = "1" * 16, "3" * 16
TRAINS = {
    HEARS: TrainOptions(modality=Modality.SOUND, backbone="log-mel", trainable="heads"),
    FLOWS: TrainOptions(modality=Modality.FLOW, flow_method="dis"),
}


@pytest.fixture
def shelf():
    """Trained networks, the first by a comparison alone."""
    made = Shelf()
    for key, train in TRAINS.items():
        run = Layout(STORE).run(key)
        made.write(run.train, train_result(f"{run.folder_uri}best.pt", "0" * 64))
        place = run.comparison("0" * 16) if key == HEARS else run.decision("0" * 16)
        made.write(place.plan, plan_result(train=train))
    return made


def compare(shelf, *trains):
    lines = tuple(
        Configuration(name=str(i), options=train.model_dump_json(), dataset="d", out="o", claims="c") for i, train in enumerate(trains)
    )
    shelf.write(
        Configurations(CONFIGURED), ConfigureResult(dataset_uri=f"{STORE}/datasets/d/", configured_uri=CONFIGURED, configurations=lines)
    )
    return needs_of(ARGUMENTS, shelf)


def fused(*keys):
    return TrainOptions(fuse=[f"runs/{key}/" for key in keys])


@pytest.mark.parametrize(
    ("train", "champion", "inputs"),
    [
        (TrainOptions(), {}, ()),
        (TRAINS[FLOWS], {}, ("flow",)),
        (TRAINS[HEARS], {"flows": (FlowOptions(),)}, ("flow", "sound")),
        (TrainOptions(), {"sounds": ("log-mel",)}, ("sound",)),
    ],
)
def test_a_plan_names_the_inputs_of_its_network_and_of_the_champion(train, champion, inputs, shelf):
    version = Champion(version=1, checkpoint_uri="s3://x", checkpoint_sha256="", **champion)
    assert needs_of_plan(plan_result(train=train, champion=version), shelf).inputs == inputs


def test_members_of_a_fusion_need_what_they_were_trained_on(shelf):
    needs = compare(shelf, TrainOptions(), fused(HEARS, FLOWS))
    assert needs.hears
    assert needs.flows == (FlowOptions(flow_method="dis"),)


def test_the_other_options_of_a_fusion_need_nothing(shelf):
    sees = "4" * 16
    run = Layout(STORE).run(sees)
    shelf.write(run.train, train_result(f"{run.folder_uri}best.pt", "0" * 64))
    shelf.write(run.decision("0" * 16).plan, plan_result())
    needs = compare(shelf, TrainOptions(), fused(sees, sees).model_copy(update={"modality": Modality.FLOW}))
    assert (needs.hears, needs.flows) == (False, ())


def test_a_member_that_does_not_exist_is_named_and_stops_no_other_network(shelf, caplog):
    needs = compare(shelf, TRAINS[FLOWS], fused(HEARS, "9" * 16))
    assert needs.hears
    assert "has no finished training under runs/9999999999999999/" in caplog.text
