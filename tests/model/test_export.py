import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.export import Dim

from tasks.model.crops import centre_offset
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.export import _half, export_module

READ_WITHOUT_OUR_CODE = """
import sys, torch
program, frames, answers = sys.argv[1:]
verb, noun = torch.export.load(program).module()(torch.load(frames))
assert not any(name.split(".")[0] == "tasks" for name in sys.modules)
torch.save([verb.detach(), noun.detach()], answers)
"""


@pytest.mark.parametrize("pixels", range(224, 480))
def test_the_exported_networks_crop_is_the_protocols(pixels):
    assert (_half(pixels - 224), _half(256 - 224)) == centre_offset(pixels, 256)


def test_an_exported_network_answers_alike_without_our_code_for_any_batch_and_size(tmp_path: Path, outspoken_network):
    module, example = export_module(outspoken_network)
    # As MLflow's pt2 format exports it.
    program = torch.export.export(module, (example,), dynamic_shapes=[{0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}])
    torch.export.save(program, tmp_path / "model.pt2")
    frames = torch.randint(0, 256, (3, 2, 261, 455, 3), dtype=torch.uint8)
    torch.save(frames, tmp_path / "frames.pt")
    subprocess.run(
        [sys.executable, "-I", "-c", READ_WITHOUT_OUR_CODE, tmp_path / "model.pt2", tmp_path / "frames.pt", tmp_path / "answers.pt"],
        check=True,
    )
    verb, noun = torch.load(tmp_path / "answers.pt")
    for i, clip in enumerate(frames):
        logits = PytorchEngine(prepare(outspoken_network), 1).score(clip.numpy())
        torch.testing.assert_close(verb[i], logits.verb, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(noun[i], logits.noun, atol=1e-5, rtol=1e-4)
