"""Next steps of a report, by the facts of a run."""

import pytest

from tasks.report_next_steps import RULES, Facts, NextStep, Rare, report_steps
from tasks.settings import form_path, in_airflow, label_url
from tasks.wording import without_secrets

LABEL, PREDICT = "http://airflow/label/", "http://airflow/retake/trigger/?dag=predict_videos"
LACKED = "enough clips (9 clips, at least 30 needed)"
MANY = tuple(Rare(f"class {number}", number, 1) for number in range(1, 9))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"num_to_label": 50}, NextStep("Label the 50 clips from which the network would learn most.", LABEL)),
        ({"num_unlabelled": 1}, NextStep("Label the 1 clip without a label.", LABEL)),
        ({"missing": (LACKED,)}, NextStep(f"The gate lacks: {LACKED}.")),
        (
            {"faultless_split": "val"},
            NextStep(
                "Bring videos that are harder to tell apart: both networks are right on all val clips, so only those can show a difference."
            ),
        ),
        ({"rare": MANY[:2]}, NextStep("Bring more videos of 'class 1' (1 clip of 1 video) and 'class 2' (2 clips of 1 video).")),
        ({"has_opponent": True}, NextStep("Compare this version with the champion on all labelled videos that trained neither.", "")),
        (
            {"model_name": "m"},
            NextStep("Predict videos that it was not trained on, with models:/m@challenger, because there is no champion yet.", PREDICT),
        ),
        (
            {"model_name": "m", "has_champion": True},
            NextStep("Predict videos that it was not trained on, with models:/m@champion.", PREDICT),
        ),
    ],
)
def test_each_fact_has_its_step(facts, expected):
    assert list(report_steps(Facts(**facts, label_url=LABEL, predict_url=PREDICT))) == ([expected] if expected else [])


def test_all_steps_are_told_in_order_and_long_lists_cut():
    steps = list(
        report_steps(Facts("m", num_to_label=1, num_unlabelled=1, missing=("a",), faultless_split="val", rare=MANY, has_opponent=True))
    )
    assert len(steps) == len(RULES)
    assert steps[4].text.endswith("and 3 more classes.")


@pytest.mark.parametrize(
    ("airflow_url", "expected"),
    [
        ("https://host:8080/retake/dags/retrain/runs/r", "https://host:8080/retake/retake/label/?store=s3://b/x%20y/#clip=a%22b"),
        ("started by hand", ""),
        (None, ""),
        ("javascript:alert(1)//dags/", ""),
    ],
)
def test_the_address_of_a_clip_is_that_of_its_airflow(airflow_url, expected):
    assert label_url(airflow_url, 'a"b', uri="s3://b/x y/") == expected
    assert in_airflow(airflow_url, "/x") == expected.replace("/retake/label/?store=s3://b/x%20y/#clip=a%22b", "/x")


def test_an_address_of_a_filled_in_form_is_printed_whole():
    path = form_path("predict_videos", {"store": "s3://films", "model": "models:/cook@champion"})
    assert without_secrets(f"Next: {path}.") == f"Next: {path}."
