"""EPIC-KITCHENS-55's checkpoints by the name that they were published under."""

import pytest

from tasks.model.pretrained import PUBLISHED

pytestmark = pytest.mark.integration

STORE = "s3://retake-published"
TSM = next(file.name for (family, _, modality), file in PUBLISHED.items() if (family, modality) == ("TSM", "flow"))


@pytest.mark.parametrize("named", [{"checkpoint": TSM}, {}], ids=["by its name", "by the network"])
def test_a_published_checkpoint_is_looked_up_in_the_store_and_held_to_the_hash_in_its_name(workshop, attempt, named):
    workshop.store.ensure_bucket(STORE)
    workshop.store.write_bytes(f"{STORE}/pretrained/{TSM}", b"not the published file")
    network = {"family": "TSM", "modality": "flow", "backbone": "resnet50", "weights": "epic"}
    code, said = attempt("weights", store=STORE, out=f"{STORE}/pretrained/choices/published/", **network, **named)
    assert code == 65
    assert TSM in said
    assert "its name says e09c2d3a" in said
