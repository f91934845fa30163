from dataclasses import replace
from itertools import groupby

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError
from pydantic import ValidationError, create_model

from dags import build_dataset, compare_networks, compare_versions, ingest_videos, predict_videos, retrain, search
from dags._form import PASSED_OVER, Form, StoreOptions, places, resolve
from dags._step import command_flags
from tasks.keys import recipe_of
from tasks.local.choices import CHAIN
from tasks.options import (
    PRESETS,
    ComparisonOptions,
    EvaluateOptions,
    IngestOptions,
    LabelOptions,
    PredictOptions,
    PresetOptions,
    RetrainOptions,
    SegmentOptions,
    SplitOptions,
    TrainOptions,
    Weights,
)
from tasks.options.dag_options import REMOVED
from tasks.pipeline.commands import COMMANDS, parse
from tasks.store.layout import Layout
from tests.dags.conftest import defaults

DAGS = (ingest_videos, build_dataset, retrain, predict_videos)
MODELS = dict.fromkeys(model for dag in DAGS for model in dag.FORM.models())
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]
NUMBERS = [(model, name) for model, name in FIELDS if model.model_fields[name].annotation in (int, float)]
LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def param_of(model, name):
    return Form((model,)).params()[name]


@pytest.fixture
def resolved(context):
    """Resolves the options of a run whose form has these values."""

    def run(dag, params=None, *events, **about):
        return resolve(context(defaults(dag.FORM) | (params or {}), *events, **about), dag.FORM)

    return run


def form_takes(param, value):
    try:
        Param(**param.schema).resolve(value)
    except ParamValidationError:
        return False
    return True


def model_takes(model, name, value):
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return all(e["loc"] != (name,) for e in error.errors())
    return True


@pytest.mark.parametrize("dag", DAGS)
def test_a_form_has_or_hides_each_field_of_its_option_models_and_no_other(dag):
    wanted = [name for model in dag.FORM.models() for name in model.model_fields]
    params = dag.FORM.params()
    assert sorted([*params, *params["store"].schema.get("hidden", {})]) == sorted(wanted)


@pytest.mark.parametrize("dag", [*DAGS, compare_networks, compare_versions, search])
def test_a_form_opens_with_the_few_fields_that_most_runs_need(dag):
    params = dag.FORM.params()
    assert 5 <= len(dag.FORM.first) <= 8
    assert len(params) <= 25
    assert set(dag.FORM.more or ()) <= params.keys(), "of `more`, there is no such option"
    assert tuple(params)[: len(dag.FORM.first)] == dag.FORM.first
    assert {name for name, param in params.items() if "section" not in param.schema} == set(dag.FORM.first)


def test_options_of_one_topic_share_a_section():
    params = Form((TrainOptions,)).params()
    sections = {name: params[name].schema["section"] for name in ("optimizer", "warmup_epochs", "crop", "family", "checkpoint", "seed")}
    assert sections == {
        "optimizer": "Optimizer", "warmup_epochs": "Learning rate schedule", "crop": "Augmentation", "family": "Network",
        "checkpoint": "Initial weights", "seed": "Cache and seed",
    }  # fmt: skip
    titles = [param.schema["section"] for param in params.values() if "section" in param.schema]
    assert len([title for title, _ in groupby(titles)]) == len(set(titles)), "a section is split"


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_a_field_shows_its_title_help_default_and_limits(model, name):
    param = param_of(model, name)
    field = model.model_fields[name]
    assert param.schema["title"] == field.title
    assert (field.description or "") in (param.description or "")
    assert param.value == model().model_dump(mode="json")[name]
    assert not {"$ref", "anyOf", "allOf"} & param.schema.keys(), "Airflow's form does not follow references and unions"
    for limit in LIMITS:
        if limit in param.schema:
            assert str(param.schema[limit]) in param.description


def test_beside_a_recipe_a_form_says_of_training_options_that_it_may_replace_their_defaults():
    params = Form((PresetOptions, TrainOptions, EvaluateOptions), first=("preset", "epochs")).params()
    said = {name for name, param in params.items() if "The recipe may replace this default" in param.description}
    assert said == TrainOptions.model_fields.keys()
    assert "recipe may" not in Form((TrainOptions,)).params()["epochs"].description


@pytest.mark.parametrize(("model", "name"), NUMBERS)
def test_the_form_takes_a_number_if_and_only_if_the_model_does(model, name):
    step = 1 if model.model_fields[name].annotation is int else 1e-9
    param = param_of(model, name)
    limits = [param.schema[key] for key in LIMITS if key in param.schema]
    assert len(limits) == 2
    for value in [limit + side for limit in limits for side in (-step, 0, step)]:
        assert form_takes(param, value) == model_takes(model, name, value), value


ADDRESSES = {"sources": IngestOptions, "videos": PredictOptions, "checkpoint": TrainOptions, "backbone_weights": TrainOptions}


@pytest.mark.parametrize("name", [*ADDRESSES, "configurations"])
def test_a_form_refuses_a_password_before_airflow_keeps_it(name):
    param = param_of(ADDRESSES.get(name, ComparisonOptions), name)
    secret, plain = ("https://me:pw@h/a", "lr=1 s3://me:pw@h/a"), ("https://h/a@b.mp4?sig=a@b", "models:/a@b", "s3://h/a@b", "a@b")
    secret += ("https://me:p/w@h/a", "https://me:p#w@h/a", "\nhttps://me:pw@h/a")
    plain += ("https://h:8080/@me/a.mp4", "https://h:8080?x@y", "http://[::1]:8080/a@b", "s3://h/a:b@c", "https://h/a:b@c")
    taken = [address for address in (*secret, *plain) if form_takes(param, [address] * 2 if "items" in param.schema else address)]
    assert taken == [*plain]
    assert "Give no address with a user and password, which Airflow would keep" in param.description


def test_what_may_be_empty_is_null_lists_hold_strings_and_choices_are_the_models():
    assert param_of(TrainOptions, "weights").schema["enum"] == [weights.value for weights in Weights]
    assert param_of(TrainOptions, "trainable").schema["enum"] == ["all", "last-stage", "heads"]
    assert param_of(EvaluateOptions, "crops").schema["enum"] == [1, 10]
    for model, name in ((TrainOptions, "checkpoint"), (RetrainOptions, "dataset")):
        assert param_of(model, name).schema["type"] == ["null", "string"]
    assert param_of(IngestOptions, "sources").schema["items"]["type"] == "string"


def test_a_list_that_a_person_emptied_is_empty_and_one_that_may_not_be_is_refused(resolved):
    assert param_of(IngestOptions, "sources").schema["type"] == ["array", "null"]
    assert param_of(ComparisonOptions, "configurations").schema["type"] == "array"
    assert resolved(ingest_videos, {"sources": None})["sources"] == []
    with pytest.raises(AirflowFailException, match="configurations"):
        resolved(compare_networks, {"configurations": None})


def test_a_run_by_hand_has_its_form_and_the_store_is_the_settings(resolved, monkeypatch):
    monkeypatch.setenv("RETAKE_STORE_URI", "s3://elsewhere/here")
    assert param_of(StoreOptions, "store").value == "s3://elsewhere/here"
    values = resolved(ingest_videos, {"fps": 25, "sources": ["/a"], "store": "s3://mine/"})
    assert (values["fps"], values["sources"], values["store"]) == (25, ["/a"], "s3://mine")


OF_RECIPES = {
    "relation_draws": 0, "layer_decay": 1, "momentum": 0.9, "step_epochs": 20, "plateau_validations": 5, "decay_factor": 0.1,
    "sampler": "shuffled", "segment_length": 1, "color_jitter": 0, "mixup": 0, "ema_decay": 0, "clip_norm": 0,
}  # fmt: skip
OF_GATES = {"gain_rule": "interval", "min_gain_points": 1}
OF_SEARCHES = {"halving": False, "budget_hours": 0, "ranges": ["dropout=0..0.8", "mixup=0, 0.2, 0.4", "segment_length=0.25, 0.5, 1"]}


@pytest.mark.parametrize(
    ("dag", "older"), [(predict_videos, {"preview": False}), (retrain, OF_RECIPES | OF_GATES), (search, OF_RECIPES | OF_SEARCHES)]
)
def test_the_form_of_an_earlier_version_starts_a_run_where_options_that_are_gone_have_their_defaults(dag, older, resolved):
    kept = {"ranges": older["ranges"]} if dag is search else {}
    assert resolved(dag, older) == resolved(dag, kept)


def test_runs_that_follow_one_of_an_earlier_version_start_where_options_that_are_gone_have_their_defaults(resolved):
    values = resolved(build_dataset, {"then": OF_RECIPES | {"epochs": 6}})
    assert values["then"] == {"epochs": 6}
    assert resolved(retrain, None, {"params": OF_RECIPES | {"epochs": 6}}) == resolved(retrain, {"epochs": 6})


def test_a_run_by_assets_overlays_what_it_knows_and_passes_on_the_rest(resolved):
    extra = {"store": "s3://sample", "params": {"fps": 15, "val_share": 0.4, "epochs": 6, "sources": ["/a"]}}
    values = resolved(build_dataset, None, extra)
    assert (values["store"], values["fps"], values["val_share"], values["then"]) == ("s3://sample", 15, 0.4, {"epochs": 6})
    assert build_dataset.FORM.handover(values) == {"store": "s3://sample", "params": {"epochs": 6}}
    assert resolved(retrain, None, {"from_rest_api": True}) == resolved(retrain), "an event made by hand in Airflow leaves the defaults"


def test_what_an_ingest_is_told_reaches_the_training(resolved):
    first = resolved(ingest_videos, {"fps": 15, "store": "s3://sample", "then": {"val_share": 0.4, "epochs": 6, "preset": "none"}})
    second = resolved(build_dataset, None, ingest_videos.FORM.handover(first))
    third = resolved(retrain, None, build_dataset.FORM.handover(second))
    assert (second["fps"], second["val_share"], second["split_seed"]) == (15, 0.4, 0)
    assert (third["store"], third["epochs"]) == ("s3://sample", 6)
    assert places(first, ingest_videos.FORM)["recipe"] == places(second, build_dataset.FORM)["recipe"] == recipe_of(SegmentOptions(fps=15))
    assert "recipe" not in places(third, retrain.FORM)


def test_no_option_of_one_step_has_the_name_of_another_steps():
    models = {model for dag in DAGS for model in (*dag.FORM.models(), *dag.FORM.then)}
    names = [name for model in models for name in model.model_fields]
    assert len(names) == len(set(names))
    flags = [name for command in COMMANDS.values() for name in command.arguments.model_fields]
    assert REMOVED.keys().isdisjoint({*names, *flags})


MINE, THEIRS = "s3://retake", "s3://theirs"


def event(store=MINE, **params):
    return {"store": store, "params": params} if params else {"store": store}


@pytest.mark.parametrize(
    ("dag", "events", "taken", "passed_over"),
    [
        (retrain, [event(THEIRS), event()], {"store": MINE}, f"trigger it by hand for {THEIRS} with {{}}"),
        (retrain, [event(epochs=6), event()], {"epochs": 6}, ""),
        (build_dataset, [event(fps=30, epochs=6), event(fps=30)], {"then": {"epochs": 6}}, ""),
        (retrain, [event(THEIRS, epochs=6), event()], {"store": THEIRS, "epochs": 6}, f"by hand for {MINE} with {{}}"),
        (
            retrain,
            [event(epochs=6), event(crops=1), event()],
            {"crops": 1, "epochs": 60},
            f'takes {MINE} with {{"crops": 1}}, so trigger it by hand for {MINE} with {{"epochs": 6}}',
        ),
        (retrain, [event(epochs=6), event(nonsense=3)], {"epochs": 6}, ""),
        (
            retrain,
            [event(backbone_weights="https://me:pw@h/x?pw"), event(crops=1)],
            {"crops": 1},
            'with {"backbone_weights": "https://h/x?…',
        ),
    ],
)
def test_of_several_events_the_latest_with_options_counts_and_no_options_go_unnamed(dag, events, taken, passed_over, context, caplog):
    about = context(defaults(dag.FORM), *events)
    values = resolve(about, dag.FORM)
    assert {name: values[name] for name in taken} == taken
    assert passed_over in about["ti"].pushed.get(PASSED_OVER, "")
    assert (passed_over in caplog.text) if passed_over else not caplog.text
    assert "pw" not in caplog.text


@pytest.mark.parametrize(
    ("dag", "params", "named"),
    [
        (predict_videos, {"model": "retake-tsn"}, "model"),
        (predict_videos, {"against": "models:/retake-tsn"}, "against"),
        (retrain, {"epochs": 0}, "epochs"),
        (retrain, {"dropout": -1}, "dropout"),
        (retrain, {"epoch": 3}, "unknown options: epoch"),
        (predict_videos, {"preview": True}, "^preview was removed; leave it out$"),
        (retrain, {"mixup": 0.2, "ema_decay": 0.9}, "^ema_decay, mixup were removed; leave them out$"),
        (retrain, {"schedule": "step"}, "^schedule: step was removed; choose another, or leave it out$"),
        (retrain, {"preset": "thorough"}, "the recipe thorough was removed; choose light or auto"),
        (ingest_videos, {"then": {"mixup": 0.2}}, "^then.mixup was removed"),
        (retrain, {"dataset": "/etc/passwd"}, "dataset"),
        (retrain, {"store": "s3://Not A Bucket"}, "store"),
        (build_dataset, {"val_share": 0.6, "test_share": 0.6}, "nothing to train on"),
        (ingest_videos, {"then": {"epochs": 0}}, "then.epochs"),
        (retrain, {"preset": "long", "trainable": "last-stage"}, "preset long: .*more than 1000 epochs"),
        (ingest_videos, {"then": {"epoch": 6}}, "then.epoch"),
        (ingest_videos, {"then": {"fps": 6}}, "then.fps"),
        (ingest_videos, {"fps": "https://h/x?pw"}, r"and not 'https://h/x\?…'"),
        (ingest_videos, {"sources": ["a.mp4", "https://me:pw@h/x"]}, "sources: give no address with a user and password, which Airflow"),
        (ingest_videos, {"then": {"checkpoint": "https://me:pw@h/x"}}, "then: give no address with a user and password"),
        (retrain, {"backbone_weights": "s3://me:pw@h/x"}, "backbone_weights: give no address with a user and password"),
    ],
)
def test_a_wrong_option_or_a_malformed_event_fails_without_a_retry_and_is_named(dag, params, named, resolved):
    with pytest.raises(AirflowFailException, match=named):
        resolved(dag, params)
    with pytest.raises(AirflowFailException, match="asset event: params"):
        resolved(retrain, None, {"params": 3})
    with pytest.raises(AirflowFailException, match="mixup was removed"):
        resolved(retrain, None, {"params": {"mixup": 0.2}})


def training(values):
    return TrainOptions.model_validate({name: values[name] for name in TrainOptions.model_fields})


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_takes_the_place_of_the_training_options_that_have_their_defaults(preset, resolved):
    values = resolved(retrain, {"preset": preset, "epochs": 8, "label_noise": 0.2, "crops": 1})
    assert training(values) == PRESETS[preset].model_copy(update={"epochs": 8, "label_noise": 0.2})
    assert values["crops"] == 1
    same = PRESETS[preset].model_dump(mode="json") | {"epochs": 8, "label_noise": 0.2, "preset": "none", "crops": 1}
    assert places(values, retrain.FORM)["key"] == places(resolved(retrain, same), retrain.FORM)["key"]
    assert values["preset"] == preset, "the step names the recipe in its report"


def test_a_saved_recipe_is_left_to_the_step_that_has_the_store_and_has_a_part_in_the_key(resolved):
    values, plain = resolved(retrain, {"preset": "mine"}), resolved(retrain, {"preset": "none"})
    assert (values, training(values)) == (plain | {"preset": "mine"}, TrainOptions())
    assert places(values, retrain.FORM)["key"] != places(plain, retrain.FORM)["key"]


@pytest.mark.parametrize(
    ("start", "backbone", "weights"),
    [
        ({}, "tf_efficientnet_lite0", "imagenet"),
        ({"checkpoint": "models:/meals@champion"}, "auto", "auto"),
        ({"backbone_weights": "s3://a/b.pth", "backbone": "resnet18"}, "resnet18", "auto"),
        ({"fuse": ["runs/a/"]}, "auto", "auto"),
        ({"backbone": "resnet18"}, "resnet18", "auto"),
        ({"weights": "none"}, "tf_efficientnet_lite0", "none"),
        ({"modality": "flow"}, "auto", "auto"),
    ],
)
def test_a_preset_leaves_out_its_start_where_the_form_names_another(start, backbone, weights, resolved):
    values = training(resolved(retrain, {"preset": "light"} | start))
    assert (values.backbone, values.weights, values.epochs) == (backbone, weights, 4)


@pytest.mark.parametrize(
    ("dag", "task", "params"),
    [
        (retrain, "prepare.plan", {}),
        (retrain, "prepare.plan", {"preset": "original", "force": True, "crops": 1}),
        (retrain, "prepare.plan", {"dataset": "s3://retake/datasets/x", "epochs": 3}),
        (predict_videos, "plan", {}),
        (predict_videos, "plan", {"videos": ["/a b", "--c"], "allow_trained": True}),
        (build_dataset, "label", {"clip_seconds": 4}),
    ],
)
def test_a_contract_finds_the_result_under_the_key_of_the_form(dag, task, params, resolved):
    values, task = resolved(dag, params), dag.dag.get_task(task)
    where = places(values, dag.FORM)
    layout, key = Layout(where["store"]), where["key"]
    step, arguments = parse([task.step, *command_flags(task, values)])
    expected = {
        retrain: layout.plan(key),
        predict_videos: layout.prediction_plan(key),
        build_dataset: layout.labels(where.get("recipe", "")),
    }
    assert step.address(arguments) == expected[dag]


@pytest.mark.parametrize(
    ("dag", "key"),
    [(ingest_videos, "95d164a295b9842e"), (retrain, "20a33d6aeeb3bf8e"), (compare_networks, "897b6c04c467d000")],
)
def test_a_form_keeps_the_places_that_stores_have_for_it(dag, key, resolved):
    assert places(resolved(dag, {"store": "s3://retake"}), dag.FORM)["key"] == key


def test_a_new_option_at_its_default_leaves_the_key_of_a_form_as_it_is(resolved):
    later = replace(retrain.FORM, options=(*retrain.FORM.options, create_model("Later", __base__=EvaluateOptions, later_option=(int, 3))))
    values = resolved(retrain, {})
    key = places(values, retrain.FORM)["key"]
    assert key == places({**values, "later_option": 3}, later)["key"] != places({**values, "later_option": 4}, later)["key"]


def test_training_again_has_a_key_of_its_own_for_each_run_which_does_not_depend_on_how_a_number_is_written(resolved):
    def key(force, run_id):
        return places(resolved(retrain, {"force": force}, run_id=run_id), retrain.FORM)["key"]

    assert key(False, "a") == key(False, "b")
    assert len({key(False, "a"), key(True, "a"), key(True, "b")}) == 3
    written = ({"clip_seconds": 8, "then": None}, {"clip_seconds": 8.0, "then": {}})
    assert len({places(resolved(ingest_videos, params), ingest_videos.FORM)["key"] for params in written}) == 1


def test_forms_of_later_runs_cover_what_those_runs_take():
    assert set(build_dataset.FORM.options) <= {*ingest_videos.FORM.shared, *ingest_videos.FORM.then}
    assert set(retrain.FORM.options) == set(build_dataset.FORM.then)
    assert {LabelOptions, SplitOptions, *build_dataset.FORM.then} == set(ingest_videos.FORM.then)


@pytest.mark.parametrize("module", [ingest_videos, build_dataset, retrain], ids=lambda module: module.dag.dag_id)
def test_make_run_hands_each_dag_the_options_of_its_form_and_no_others(module):
    def fields(models):
        return {name for model in models for name in model.model_fields}

    said_by_itself = {*StoreOptions.model_fields, "then"}
    of_form = [fields(models) - said_by_itself for models in (module.FORM.models(), module.FORM.then)]
    assert [fields(models) for models in CHAIN[module.dag.dag_id]] == of_form
