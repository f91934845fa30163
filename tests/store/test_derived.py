"""Places that are derived from addresses, against the layout that made the addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.store import derived
from tasks.store.layout import Layout

layouts = st.from_regex(r"s3://[a-z0-9]{3,8}(/(runs|plan|flows|[a-z0-9]{1,8})){0,3}", fullmatch=True).map(Layout)
keys = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
numbers = st.integers(0, 123_456)


@given(layouts, keys, keys)
def test_a_plan_leads_to_its_training_and_its_decision_or_comparison(layout, key, other):
    run = layout.run(key)
    for part in (run.decision(other), run.comparison(other)):
        assert derived.run_of_plan(part.plan.folder_uri) == run
        assert derived.decision_of_plan(part.plan.folder_uri) == derived.decision_of_plan(part.plan.folder_uri.rstrip("/")) == part


@given(layouts, keys, keys, numbers)
def test_a_batch_leads_to_the_output_of_its_task(layout, key, recipe, number):
    ingest, prediction, flows = layout.ingest(key), layout.prediction(key), layout.run(key).flows
    assert derived.segment_of_batch(ingest.batch(number).uri, recipe) == ingest.segment(recipe, number)
    assert derived.predicted_of_batch(prediction.batch(number).uri) == prediction.predicted(number)
    assert derived.flow_of_batch(flows.batch(recipe, number).uri) == flows.computed(recipe, number)


@given(layouts, keys, keys)
def test_a_plan_of_a_prediction_and_claims_lead_to_what_they_are_part_of(layout, key, digest):
    prediction, configurations = layout.prediction(key), layout.comparison(key).on(digest)
    assert derived.prediction_of_plan(prediction.plan.folder_uri) == prediction
    assert derived.configurations_of_claims(configurations.claims.folder_uri) == configurations


@pytest.mark.parametrize(
    "find", [derived.decision_of_plan, derived.run_of_plan, derived.prediction_of_plan, derived.configurations_of_claims]
)
def test_an_address_of_another_form_is_named(find):
    with pytest.raises(ValueError, match=r"s3://retake/plans/k/ does not have the form s3://"):
        find("s3://retake/plans/k/")
