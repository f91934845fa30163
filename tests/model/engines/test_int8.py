"""What int8 answers where a network sees more than one frame a segment: as PyTorch does within its tolerance, or PyTorch itself with the reason."""

import pytest

from tasks.model.engines.choice import Job, make_engine
from tasks.model.engines.engine import prepare
from tasks.model.engines.parity import SHARE_OF_STD
from tasks.model.engines.pytorch import PytorchEngine
from tasks.options import Modality
from tests.model.engines.test_family import network_of, snippets_for

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("modality", [Modality.FLOW, Modality.RGB_DIFFERENCE])
def test_int8_answers_as_pytorch_does_or_gives_way_to_it_with_the_reason(modality):
    network = network_of(modality=modality)
    checked, trained_on, new = ([snippets_for(network.spec, seed=seed)] for seed in range(3))
    job = Job("cpu", 1, 1, checked=lambda: checked, calibration=lambda: trained_on)
    engine, used = make_engine(network, "openvino-int8", job)
    expected = PytorchEngine(prepare(network_of(modality=modality)), 1).score(new[0])
    for found, reference in zip(engine.score(new[0]), expected, strict=True):
        assert (found - reference).abs().max() <= SHARE_OF_STD["int8"] * reference.std()
    if used.label == "openvino int8":
        assert 0 < used.max_difference <= used.tolerance
        assert used.fallback_reason is None
    else:
        assert used.label == "pytorch float32"
        assert used.fallback_reason.startswith(("openvino int8 failed the parity check", "openvino-int8 cannot run"))
