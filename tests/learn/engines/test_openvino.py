import logging
import subprocess
import sys

import numpy as np
import pytest
import torch

from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import PytorchEngine
from tests.learn.tiny import Bessel, snippets_of

pytestmark = pytest.mark.slow

WITHOUT_A_WORD = """
import logging, socket
import numpy as np
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.engine import prepare
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec

def refuse(*_):
    raise AssertionError("a connection was opened")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
root = logging.getLogger()
handler = logging.NullHandler()
root.addHandler(handler)
root.setLevel(logging.INFO)
frames = np.zeros((2, 224, 224, 3), np.uint8)
OpenvinoEngine(prepare(Network(NetworkSpec(backbone="test_resnet", num_segments=2))), 1, [frames])
assert (root.level, root.handlers, root.filters) == (logging.INFO, [handler], [])
assert logging.getLoggerClass() is logging.Logger
"""


class Words(torch.nn.Module):
    """Leaves torch, where tracing cannot follow."""

    def forward(self, images):
        return [str(images.shape)]


def test_each_view_keeps_its_own_features_whichever_stream_ends_first(outspoken_network):
    network = prepare(outspoken_network)
    views = [np.full((2, 224, 224, 3), 25 * k, np.uint8) for k in range(10)]
    expected, found = PytorchEngine(network, 10).features(views), OpenvinoEngine(network, 10).features(views)
    assert torch.cdist(found.flatten(1), expected.flatten(1)).argmin(1).tolist() == list(range(10))


def test_int8_is_calibrated_on_clips_and_says_so(outspoken_network):
    network = prepare(outspoken_network)
    engine = OpenvinoEngine(network, 1, [snippets_of(network.spec, seed) for seed in (1, 2)])
    assert engine.precision == "int8"
    assert "on 2 training clips" in engine.description
    ours, theirs = (each.score(snippets_of(network.spec)) for each in (engine, PytorchEngine(network, 1)))
    assert (ours.noun - theirs.noun).abs().max() < 0.75 * theirs.noun.std()


def test_nothing_is_sent_printed_or_done_to_other_peoples_loggers():
    done = subprocess.run([sys.executable, "-c", WITHOUT_A_WORD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("unconvertible", [Bessel(), Words()], ids=["an operation that OpenVINO lacks", "no tensor comes out"])
def test_what_cannot_be_converted_raises_one_error_and_leaves_the_root_logger_as_it_was(tiny_network, unconvertible):
    tiny_network.backbone = torch.nn.Sequential(tiny_network.backbone, unconvertible)
    level = logging.getLogger().level
    engine = OpenvinoEngine(tiny_network.eval(), 1)
    with pytest.raises(RuntimeError, match="not converted"):
        engine.see(snippets_of(tiny_network.spec))
    assert logging.getLogger().level == level
