from itertools import accumulate, chain

import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn import timing
from tasks.learn.network import Network
from tasks.learn.timing import clip_seconds
from tests.learn.test_hearing import SOUND, SPECTROGRAM
from tests.learn.tiny import tiny


@pytest.mark.parametrize("spec", [tiny(), SOUND, SPECTROGRAM], ids=lambda spec: spec.modality)
def test_a_clip_is_timed_by_the_median_after_a_first_that_does_not_count(spec, monkeypatch: pytest.MonkeyPatch):
    durations = [100, 4, 1, 2, 50, 3]
    times = iter(accumulate(chain.from_iterable((1, seconds) for seconds in durations)))
    monkeypatch.setattr(timing, "perf_counter", lambda: next(times))
    assert clip_seconds(Network(spec), 10, "cpu") == 3
    assert next(times, None) is None


@pytest.mark.slow
def test_ten_crops_take_longer_than_one():
    one, ten = (clip_seconds(Network(tiny()), num_crops, "cpu") for num_crops in (1, 10))
    assert 0 < 2 * one < ten


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(tiny_network: Network):
    with pytest.raises(BadConfiguration, match="finds no GPU"):
        clip_seconds(tiny_network, 1, "cuda")
