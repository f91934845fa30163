from copy import deepcopy

import numpy as np
import pytest
import torch

from tasks.errors import BadInput
from tasks.model.consensus import Logits
from tasks.model.crops import Normalise, cut_crops, cut_views
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.heads import HEADS
from tasks.model.network import Network
from tasks.model.spec import Consensus, NetworkSpec
from tasks.options import Modality

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)
NUM_VIEWS, NUM_SEGMENTS, NUM_FEATURES = 10, 8, 2048


def plain_logits(network, num_crops=10):
    """What the network answers to each crop by its own `forward`, as torch runs it."""
    with torch.inference_mode():
        logits: Logits = network.eval()(Normalise(network.input_format)(cut_crops(FRAMES, num_crops, Modality.RGB)))
    return logits


def test_scores_are_the_networks_own_averaged_over_crops_before_softmax(outspoken_network):
    plain = plain_logits(deepcopy(outspoken_network))
    score = PytorchEngine(prepare(outspoken_network), 10).score(FRAMES)
    torch.testing.assert_close(score.verb, plain.verb.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(score.noun, plain.noun.mean(0), atol=1e-5, rtol=1e-4)


def head_of(consensus):
    """A head with logits of the size that a trained one has, and the features of a clip's 80 views."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        spec = NetworkSpec(backbone="resnet50", consensus=consensus)
        head = HEADS[consensus](NUM_FEATURES, spec)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return head, torch.rand(NUM_VIEWS, NUM_SEGMENTS, *([4] if spec.sees_patches else []), NUM_FEATURES)


@pytest.mark.parametrize("consensus", HEADS)
def test_a_head_is_linear_exactly_where_one_answer_to_the_mean_is_the_mean_of_all_answers(consensus):
    head, features = head_of(consensus)
    with torch.inference_mode():
        of_mean, of_views = head(features.mean(0, keepdim=True)), head(features)
    for one, all_views in zip(of_mean, of_views, strict=True):
        difference = (one[0] - all_views.mean(0)).abs().max()
        # Rounding of float32 alone: a millionth of what the logits vary by.
        assert (difference <= 5e-6 * all_views.std()) == head.is_linear


@pytest.mark.parametrize("consensus", Consensus)
def test_a_score_is_the_mean_over_crops_for_every_kind_of_head(consensus):
    network = Network(NetworkSpec(backbone="test_resnet", num_segments=2, consensus=consensus), seed=1)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.normal_(std=0.3)
    crops, score = plain_logits(network), PytorchEngine(prepare(network), 10).score(FRAMES)
    for logits, of_crops in zip(score, crops, strict=True):
        torch.testing.assert_close(logits, of_crops.mean(0), atol=1e-5 * of_crops.std().item(), rtol=1e-5)


def test_one_crop_is_the_centre(outspoken_network):
    crops = plain_logits(deepcopy(outspoken_network))
    torch.testing.assert_close(PytorchEngine(prepare(outspoken_network), 1).score(FRAMES).noun, crops.noun[8], atol=1e-5, rtol=1e-4)


def test_a_clip_of_another_number_of_segments_is_refused(tiny_network):
    with pytest.raises(BadInput, match="1 snippets of 3 planes, the network expects 2 of 3"):
        PytorchEngine(tiny_network, 10).score(FRAMES[:1])


def test_float32_is_float32_on_a_gpu_too_and_cudnns_work(tiny_network):
    seen = []

    def note(*_):
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))

    tiny_network.backbone.register_forward_hook(note)
    before = (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32)
    PytorchEngine(tiny_network.eval(), 1).score(FRAMES)
    assert seen == [(True, False)]
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before


def test_views_one_after_the_other_are_seen_as_all_at_once():
    """As a GPU sees them, with segments that look at each other."""
    network = prepare(Network(NetworkSpec(backbone="test_resnet", num_segments=2, temporal_shift=True), seed=1))
    images = Normalise(network.input_format)(cut_crops(FRAMES, 10, Modality.RGB)[:3].flatten(0, 1))
    with torch.inference_mode():
        at_once = network.backbone(images)
    found = PytorchEngine(network, 10).features(cut_views(FRAMES, 10, Modality.RGB)[:3])
    torch.testing.assert_close(found.flatten(0, 1), at_once, atol=1e-4, rtol=1e-4)
