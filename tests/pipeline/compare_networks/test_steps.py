"""The steps of `compare_networks`: what is configured, planned and tabulated, and what is refused before anything is trained."""

import json
from functools import partial

import pytest

from tasks.errors import BadConfiguration, BadDataset, BadInput, NothingToDo
from tasks.options import ComparisonOptions, Family, TrainOptions, choose_recipe
from tasks.pipeline.compare_networks import tabulate
from tasks.pipeline.compare_networks.configure import configured, run
from tasks.pipeline.compare_networks.contract import PLAN_NETWORK, ConfigureArguments, TabulateArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.records.comparison import Configuration, ConfigureResult
from tasks.store.records.training import BatchTime
from tasks.store.run_layout import Decision
from tasks.store.stored import Output
from tasks.tracking import Tracker, tracked_run
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of, plan_result, weights_result

COMMON = TrainOptions(epochs=3, backbone="resnet50")
FUSED = "fuse=runs/0123456789abcdef/,runs/fedcba9876543210/"
JOINED = f"{FUSED} join=features trainable=heads"


def test_a_line_changes_what_it_names_and_shares_the_rest():
    options = configured(["family=TSN", "  family=TRN   learning_rate=0.01 num_segments=4 "], COMMON)
    assert list(options) == ["family=TSN", "family=TRN learning_rate=0.01 num_segments=4"]
    assert options["family=TSN"] == COMMON
    assert options["family=TRN learning_rate=0.01 num_segments=4"] == COMMON.model_copy(
        update={"family": Family.TRN, "learning_rate": 0.01, "num_segments": 4}
    )


def test_a_line_may_be_of_a_video_network_and_its_backbone():
    lines = ["family=TSN", "family=3D backbone=mc3_18", "family=3D backbone=swin3d_t head=probe trainable=heads"]
    first, second, third = configured(lines, COMMON).values()
    assert [network.backbone for network in (first, second, third)] == ["resnet50", "mc3_18", "swin3d_t"]
    assert second.family is third.family is Family.VIDEO


def test_the_forms_own_lines_are_configurations():
    assert len(configured(ComparisonOptions().configurations, TrainOptions())) == 4


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["family=TSN", "famly=TRN"], "`famly=TRN`: unknown option famly; known are family, modality, head, backbone"),
        (["family=TSN", "family"], "`family`: family is not option=value"),
        (["family=TSN", "family=TXN epochs=2"], "`family=TXN epochs=2`: family: Input should be 'TSN', 'TRN', 'MTRN', 'TSM' or '3D'"),
        (["family=TSN", "epochs=many"], "`epochs=many`: epochs: Input should be a valid integer"),
        (["family=TSN", "epochs=0"], "`epochs=0`: epochs: Input should be greater than or equal to 1"),
        (["family=TSN", "epochs=1 epochs=2"], "epochs occurs twice"),
        (["family=TSN", "epochs=3"], "`epochs=3` is the same network as `family=TSN`"),
        (["family=TSN", "", "  "], "needs two or more"),
        (["family=TSN", "fuse=runs/0123456789abcdef/ fuse=runs/0/"], "fuse occurs twice"),
        (["family=TSN", "family=3D"], "family 3D needs a video network and backbone resnet50 sees single pictures"),
        (["modality=rgb", FUSED, f"{FUSED} epochs=9"], f"`{FUSED} epochs=9` is the same network as `{FUSED}`"),
        ([JOINED, f"{JOINED} modality=flow num_segments=3 backbone=resnet50"], "is the same network as"),
    ],
)
def test_a_line_that_is_no_configuration_is_repeated_with_what_is_wrong(lines, said):
    with pytest.raises(BadConfiguration) as refused:
        configured(lines, COMMON)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "fuse," not in str(refused.value)


def test_a_line_may_fuse_trained_networks():
    runs = ["runs/0123456789abcdef/", "models:/a@champion"]
    options = configured(["modality=rgb", f"fuse={','.join(runs)}"], COMMON)
    assert options[f"fuse={','.join(runs)}"].fuse == runs
    assert options["modality=rgb"].fuse == []


def test_joined_features_are_another_network_than_averaged_logits_by_the_options_of_their_head_alone():
    options = configured([FUSED, JOINED, f"{JOINED} head=tcn"], COMMON)
    chosen = options[JOINED].model_dump(exclude_defaults=True).keys() - COMMON.model_dump(exclude_defaults=True).keys()
    assert chosen == {"fuse", "join", "trainable"}
    with pytest.raises(BadConfiguration, match="fuse is empty; name two or more, or set join=logits"):
        configured(["family=TSN", "join=features trainable=heads"], COMMON)


def test_a_comparison_does_not_fuse_in_every_line():
    with pytest.raises(BadConfiguration, match="write a line `fuse=runs/KEY/,runs/KEY/`"):
        configured(["family=TSN", "family=TRN"], COMMON.model_copy(update={"fuse": ["runs/0123456789abcdef/"]}))


def test_without_a_dataset_there_is_nothing_to_configure():
    with pytest.raises(NothingToDo, match="there is no dataset in s3://retake yet; run ingest_videos and build_dataset first"):
        run(ConfigureArguments(store="s3://retake", out="s3://retake/comparisons/x/"), Shelf())


def test_the_lines_share_a_recipe_of_the_store():
    bench = Bench()
    bench.store.write(Dataset(f"{STORE}/datasets/d/").manifest, manifest_of([dataset_clip()]))
    bench.run("recipe save", names=["mine"], epochs=6, dropout=0.2, batch_size=4)
    about = {"out": f"{STORE}/comparisons/x/", "dataset": f"{STORE}/datasets/d/", "preset": "mine", "epochs": 7}
    configurations = bench.run("configure", configurations=["family=TSN", "family=TRN dropout=0"], **about).configurations
    options = [TrainOptions.model_validate_json(configuration.options) for configuration in configurations]
    assert [(chosen.epochs, chosen.batch_size, chosen.dropout) for chosen in options] == [(7, 4, 0.2), (7, 4, 0)]


@pytest.mark.parametrize(
    ("lines", "heads"),
    [
        (["num_segments=3", "num_segments=5"], ["probe", "probe"]),
        (["family=TSN", "family=3D"], ["linear", "linear"]),
        (["learning_rate=0.01", "learning_rate=0.1"], ["linear", "linear"]),
    ],
)
def test_auto_gives_all_lines_one_recipe_and_keeps_what_a_line_names(lines, heads):
    choose = partial(choose_recipe, has_gpu=False, num_clips=9)
    options = configured([*lines, "trainable=all seed=1"], TrainOptions(), choose)
    assert {options[line].head for line in lines} == {"linear"}
    assert {options[line].trainable for line in lines} == {"heads"}
    assert options["trainable=all seed=1"].trainable == "all"
    assert [chosen.head for chosen in configured(lines, TrainOptions(), choose).values()] == heads


DATASET, CLAIMS, WEIGHTS = f"{STORE}/datasets/d/", f"{STORE}/comparisons/c/d/claims/", f"{STORE}/comparisons/c/w/"
PLANNED = {"dataset": DATASET, "weights_result": WEIGHTS, "claims": CLAIMS, "name": "family=TSN"}
SIGNED = "https://me:geheim@h/w.pth"
TEN_HOURS = BatchTime(num_clips=1, seconds=36_000, forward_seconds=36_000, device="a slow machine")


@pytest.fixture
def bench():
    bench = Bench()
    bench.store.write(Dataset(DATASET).manifest, manifest_of([dataset_clip("a"), dataset_clip("b", "val")]))
    bench.store.write(Output(WEIGHTS, type(weights_result())).uri, weights_result(pace=TEN_HOURS))
    return bench


def test_a_network_that_would_train_for_longer_than_allowed_asks_by_its_name(bench, monkeypatch):
    monkeypatch.setenv("RETAKE_TRAINS_ON", "cpu")
    planned = PLANNED | {"backbone": "test_resnet", "epochs": 1}
    plan = bench.run("plan_network", **planned)
    assert plan.question.startswith("`family=TSN`: to train: at most 1 epoch")
    assert plan.question.endswith("That is more than 2 h.")
    assert bench.run("plan_network", **planned, max_hours=1000).question == ""

    same = planned | {"name": "family=TSN weights=imagenet", "weights": "imagenet"}
    with pytest.raises(BadConfiguration, match="same training as `family=TSN`"):
        bench.run("plan_network", **same)
    kept = bench.store.read(Decision(plan.decision_uri).plan)
    assert kept.question == "", "the plan is that of the network which has the training"
    others = bench.store.read(PLAN_NETWORK.address(PLAN_NETWORK.arguments(store=STORE, **same)))
    assert others.run_key == plan.run_key, "the table shows both names as one"


def test_networks_are_scored_on_val_and_on_test_only_where_the_form_spends_it(bench):
    bench.store.write(Dataset(DATASET).manifest, manifest_of([dataset_clip("a"), dataset_clip("b", "val"), dataset_clip("c", "test")]))
    planned = PLANNED | {"max_hours": 1000}
    on_val, on_test = bench.run("plan_network", **planned), bench.run("plan_network", **planned, split="test")
    assert [[evaluation.split for evaluation in plan.evaluations] for plan in (on_val, on_test)] == [["val"], ["test"]]
    assert on_val.run_key == on_test.run_key
    assert bench.store.read(Decision(on_val.decision_uri).plan) == on_val, "the other plan is not in its place"
    bench.store.write(Dataset(DATASET).manifest, manifest_of([dataset_clip("a"), dataset_clip("b", "val")]))
    with pytest.raises(BadDataset, match="has no clip in test; choose the other split"):
        bench.run("plan_network", **planned, split="test")


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("configure", {"configurations": [f"backbone_weights={SIGNED}", "family=TRN"], "out": f"{STORE}/comparisons/c/"}),
        ("configure", {"configurations": ["family=TSN", "family=TRN"], "checkpoint": SIGNED, "out": f"{STORE}/comparisons/c/"}),
        ("search_plan", {"ranges": [f"backbone_weights={SIGNED},other.pth"]}),
        ("search_plan", {"backbone_weights": SIGNED, "backbone": "resnet50"}),
    ],
)
def test_an_address_with_a_password_is_refused_where_tables_would_repeat_it(bench, step, options):
    before = dict(bench.store.objects)
    with pytest.raises(BadConfiguration, match="put the file into the store") as refused:
        bench.run(step, dataset=DATASET, **options)
    assert "geheim" not in str(refused.value)
    assert bench.store.objects == before


CONFIGURED = "s3://retake/comparisons/x/configured/"


def test_a_result_that_cannot_be_read_is_the_reason_why_its_network_is_left_out(mlflow, monkeypatch):
    configurations = [
        Configuration(name=name, options="{}", dataset="s3://retake/datasets/x/", out=f"{CONFIGURED}{name}/", claims=CONFIGURED)
        for name in ("old", "gone")
    ]
    configured = ConfigureResult(dataset_uri="s3://retake/datasets/x/", configured_uri=CONFIGURED, configurations=tuple(configurations))
    plan = f"{CONFIGURED}old/plan/result.json"
    store = Shelf()
    store.write(f"{CONFIGURED}result.json", configured)
    store.write_bytes(plan, b'{"run_key": "1"}')
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", "http://airflow/dags/compare_networks/runs/1")
    with tracked_run(Tracker(load(MlflowSettings)), plan_result()):
        (left,) = mlflow.runs.values()
    with pytest.raises(BadInput) as caught:
        tabulate.run(TabulateArguments(store="s3://retake", configured=CONFIGURED), store)
    assert left.info.status == "FAILED"
    told = str(caught.value).removeprefix("every configuration failed: ")
    assert told.startswith(f"old: {plan} is not a PlanResult (")
    assert told.endswith(f"gone: {tabulate.NO_REASON}")
    let_be = [{"map_index": index, "step": "ask", "reason": "a person let it be"} for index in range(2)]
    with pytest.raises(NothingToDo, match="no network was to be trained"):
        tabulate.run(TabulateArguments(store="s3://retake", configured=CONFIGURED, failures=json.dumps(let_be)), store)
