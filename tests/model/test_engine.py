from copy import deepcopy

import numpy as np
import pytest
import torch

from tasks.errors import BadInput
from tasks.model.crops import Normalise, cut_crops
from tasks.model.engine import prepare, score, score_crops

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)


def test_scores_are_the_networks_own_averaged_over_crops_before_softmax(outspoken_network):
    plain_network = deepcopy(outspoken_network).eval()
    network = prepare(outspoken_network)
    crops = score_crops(network, FRAMES, 10)
    with torch.inference_mode():
        plain = plain_network(Normalise(network.input_format)(cut_crops(FRAMES, 10)))
    torch.testing.assert_close(crops.verb, plain.verb, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(crops.noun, plain.noun, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(score(network, FRAMES).verb, crops.verb.mean(0))


def test_one_crop_is_the_centre(outspoken_network):
    network = prepare(outspoken_network)
    torch.testing.assert_close(score(network, FRAMES, 1).noun, score_crops(network, FRAMES, 10).noun[8])


def test_a_clip_of_another_number_of_segments_is_refused(tiny_network):
    with pytest.raises(BadInput, match="1 test frames where the network takes 2"):
        score(tiny_network, FRAMES[:1])
