"""Where the contracts say that a step leaves its result, given the flags that a DAG passes."""

import pytest

from tasks.errors import BadConfiguration
from tasks.keys import configuration_key, export_key, recipe_of
from tasks.options import PRESETS, ExportOptions, SegmentOptions, TrainOptions
from tasks.pipeline.commands import STEPS, parse
from tasks.pipeline.retrain.contract import PlanArguments
from tasks.pipeline.step import OutArguments

ROOT = "s3://retake/lab"
RUN = f"{ROOT}/runs/r"
PLAN = f"--plan={RUN}/decisions/d/plan/"
PREDICTION = f"--plan={ROOT}/predictions/p/plan/"
SEARCH = f"--search={ROOT}/searches/s/x/"
OUT = f"--out={ROOT}/chosen/"
RECIPE = recipe_of(SegmentOptions())
ADDRESSES = {
    ("ingest", OUT): "chosen/",
    ("segment", f"--batch={ROOT}/ingests/i/batches/0012.json"): f"ingests/i/segment/{RECIPE}/0012/",
    ("summarise", f"--ingest={ROOT}/ingests/i"): "ingests/i/summary/",
    ("label",): f"labels/{RECIPE}/",
    ("label", f"--store={ROOT}/"): f"labels/{RECIPE}/",
    ("label", "--crf=21"): f"labels/{recipe_of(SegmentOptions(crf=21))}/",
    ("split", f"--labels={ROOT}/labels/l"): "labels/l/split/",
    ("dataset", f"--labels={ROOT}/labels/l/"): "datasets/",
    ("weights", OUT): "chosen/",
    ("flows", PLAN): "runs/r/flows/",
    ("flows", PLAN.replace("decisions", "comparisons")): "runs/r/flows/",
    ("flows", f"--configured={ROOT}/comparisons/c/x"): "comparisons/c/x/flows/",
    ("flows", PREDICTION.replace("plan", "prediction", 1)): "predictions/p/flows/",
    ("flow", f"--batch={RUN}/flows/f/0000.json"): "runs/r/flows/f/0000/",
    ("sound", PLAN): "runs/r/sound/",
    ("sound", f"--configured={ROOT}/comparisons/c/x"): "comparisons/c/x/sound/",
    ("sound", PREDICTION.replace("plan", "prediction", 1)): "predictions/p/sound/",
    ("train", PLAN): "runs/r/train/",
    ("train", PLAN.rstrip("/")): "runs/r/train/",
    ("evaluate", PLAN): "runs/r/decisions/d/evaluate/",
    ("learning_curve", PLAN): "runs/r/decisions/d/learning_curve/",
    ("rescore", PLAN): "runs/r/decisions/d/rescore/",
    ("compare", PLAN): "runs/r/decisions/d/compare/",
    ("report", PLAN, "--no-learning-curve"): "runs/r/decisions/d/report/",
    ("register", PLAN): "runs/r/register/",
    ("decide", PLAN): "runs/r/decisions/d/decide/",
    (
        "export_champion",
        PLAN,
        "--export=openvino-int8",
    ): f"runs/r/packages/{export_key(ExportOptions(format='openvino', precision='int8'))}/",
    ("configure", OUT): "chosen/",
    (
        "plan_network",
        *(f"--dataset={ROOT}/datasets/d", f"--weights-result={ROOT}/w/", f"--claims={ROOT}/comparisons/c/x/claims/", "--name=n"),
        *("--family=TRN", "--epochs=3"),
    ): f"comparisons/c/x/{configuration_key(TrainOptions(family='TRN', epochs=3))}/plan/",
    ("tabulate", f"--configured={ROOT}/comparisons/c/x/"): "comparisons/c/x/table/",
    ("suggest", SEARCH, "--round=2"): "searches/s/x/rounds/2/suggest/",
    (
        "train_trials",
        SEARCH,
        f"--batch={ROOT}/searches/s/x/rounds/2/batches/0123456789abcdef.json",
    ): "searches/s/x/rounds/2/trials/0123456789abcdef/",
    (
        "train_trials",
        SEARCH,
        f"--batch={ROOT}/searches/s/x/rounds/seeds/batches/0123456789abcdef.json",
    ): "searches/s/x/rounds/seeds/trials/0123456789abcdef/",
    ("gather", SEARCH, "--round=2"): "searches/s/x/rounds/2/gather/",
    ("repeat_winner", SEARCH): "searches/s/x/rounds/seeds/suggest/",
    ("search_report", SEARCH): "searches/s/x/report/",
    ("predict_cut", PREDICTION, f"--batch={ROOT}/predictions/p/batches/0003.json"): "predictions/p/batches/0003/cut/",
    ("predict_known", PREDICTION): "predictions/p/known/",
    ("predict_batch", PREDICTION, f"--batch={ROOT}/predictions/p/batches/0003.json"): "predictions/p/batches/0003/",
    ("predict_report", PREDICTION): "predictions/p/report/",
    ("clean_up",): "clean_up/",
}
BY_FORM = {
    ("plan", f"--weights-result={ROOT}/w/"): "plans/",
    ("compare_versions",): "comparisons/versions/",
    ("predict_plan",): "predictions/choices/",
    ("forget", "a.mp4"): "forgotten/asked/",
    ("search_plan",): "searches/",
}
"""In a folder that the key of all their options names."""


def place(step, *flags):
    _, arguments = parse([step, f"--store={ROOT}", *flags])
    return STEPS[step].address(arguments)


@pytest.mark.parametrize("argv", ADDRESSES, ids=" ".join)
def test_a_steps_flags_determine_the_address_of_its_result(argv):
    output = place(*argv)
    assert output.folder_uri == f"{ROOT}/{ADDRESSES[argv]}"
    assert output.model is STEPS[argv[0]].result


@pytest.mark.parametrize("argv", BY_FORM, ids=" ".join)
def test_a_plan_lies_under_the_key_of_all_options(argv):
    output, other = place(*argv), place(*argv, "--reason=why" if argv[0] == "forget" else "--crops=1")
    assert output.folder_uri.startswith(f"{ROOT}/{BY_FORM[argv]}")
    assert output.model is STEPS[argv[0]].result
    assert output.folder_uri != other.folder_uri


def test_a_recipe_leads_to_the_plan_of_its_options_whether_they_are_given_or_not():
    def plan(preset="light", **options):
        values = {"store": ROOT, "weights_result": f"{ROOT}/w/", "preset": preset} | options
        return STEPS["plan"].address(PlanArguments.model_validate(values))

    light = PRESETS["light"].model_dump(mode="json")
    assert plan() == plan(**light) == plan("none", **light) != plan("none")
    assert plan(epochs=6) == plan(**light | {"epochs": 6}) != plan()


def test_a_single_word_without_a_flag_may_have_one():
    assert place("forget", "a.mp4") == place("forget", "--video=a.mp4") != place("forget", "--source=a.mp4")


def test_every_step_is_tried_here():
    assert {argv[0] for argv in (*ADDRESSES, *BY_FORM)} == set(STEPS)


def test_only_steps_that_see_a_part_of_their_key_are_told_where_to_write():
    assert {name for name, step in STEPS.items() if issubclass(step.arguments, OutArguments)} == {"ingest", "weights", "configure"}


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("train", f"--plan={ROOT}/plans/k/"), "runs/KEY/decisions/KEY/plan/, below the `decision_uri` of the plan's result"),
        (("train", f"--plan={RUN}/decisions/d/compare/"), "runs/KEY/decisions/KEY/plan/"),
        (("predict_known", f"--plan={ROOT}/predictions/choices/k/"), "predictions/KEY/plan/"),
        (("segment", f"--batch={ROOT}/predictions/p/batches/0000.json"), "ingests/KEY/batches/0000.json"),
        (("flow", f"--batch={ROOT}/ingests/i/batches/0000.json"), "flows/KEY/0000.json"),
        (("predict_batch", PREDICTION, f"--batch={ROOT}/ingests/i/batches/0000.json"), "predictions/KEY/batches/0000.json"),
        (("train_trials", SEARCH, f"--batch={ROOT}/predictions/p/batches/0000.json"), "searches/KEY/DIGEST/rounds/1/batches/KEY.json"),
        (
            ("train_trials", SEARCH, f"--batch={ROOT}/searches/s/x/folds/d/batches/0123456789abcdef.json"),
            "searches/KEY/DIGEST/rounds/1/batches/KEY.json",
        ),
        (("search_report", f"--search={ROOT}/searches/s/"), "searches/KEY/DIGEST/"),
        (
            ("train_trials", SEARCH, f"--batch={ROOT}/searches/s/y/rounds/2/batches/0123456789abcdef.json"),
            "is of another search than s3://retake/lab/searches/s/x/",
        ),
    ],
)
def test_an_address_of_another_kind_is_refused_with_the_form_that_is_taken(argv, told):
    with pytest.raises(BadConfiguration) as refused:
        place(*argv)
    assert told in str(refused.value)
