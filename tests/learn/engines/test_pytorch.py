import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.export import Dim

from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine, export_module
from tasks.learn.engines.resizing import half
from tasks.learn.inputs.crops import centre_offset
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS
from tasks.options import Consensus, Family, Modality
from tests.learn.tiny import TINY_VIDEO, network_of, tiny_video_network

READ_WITHOUT_OUR_CODE = """
import sys, torch
from pathlib import Path
for folder in map(Path, sys.argv[1:]):
    verb, noun = torch.export.load(folder / "model.pt2").module()(torch.load(folder / "frames.pt"))
    torch.save([verb.detach(), noun.detach()], folder / "answers.pt")
assert not any(name.split(".")[0] == "tasks" for name in sys.modules)
"""
KINDS = {
    "TRN on flow": {"family": Family.TRN, "modality": Modality.FLOW},
    "MTRN on differences": {"family": Family.MTRN, "modality": Modality.RGB_DIFFERENCE},
    "TSM": {"family": Family.TSM},
    "3D": {"family": Family.VIDEO, "backbone": TINY_VIDEO.name},
    "transformer, tcn": {"backbone": "test_vit", "consensus": Consensus.TCN, "num_segments": 9},
}


@pytest.fixture(scope="module", autouse=True)
def tiny_video() -> Iterator[None]:
    with tiny_video_network():
        yield


def test_every_family_input_and_head_is_exported_with_the_crop_of_the_protocol():
    specs = [network_of(**kind).spec for kind in KINDS.values()]
    assert {spec.family for spec in specs} == set(Family)
    assert {spec.modality for spec in specs} == {modality for modality in Modality if not modality.is_heard}
    assert {spec.consensus for spec in specs} >= set(CONSENSUS_OF_HEADS.values())
    sizes = range(224, 480)
    assert [(half(pixels - 224), half(256 - 224)) for pixels in sizes] == [centre_offset(pixels, 256) for pixels in sizes]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with frames and what the exported network answers to them, in one process that has all read without our code."""
    folders = {kind: tmp_path_factory.mktemp("exported") for kind in KINDS}
    for kind, folder in folders.items():
        module, example = export_module(network_of(std=0.1, **KINDS[kind]))
        # As MLflow's pt2 format does.
        program = torch.export.export(module, (example,), dynamic_shapes=[{0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}])
        torch.export.save(program, folder / "model.pt2")
        frames = torch.randint(0, 256, (3, example.shape[1], 261, 455, example.shape[-1]), dtype=torch.uint8)
        torch.save(frames, folder / "frames.pt")
    subprocess.run([sys.executable, "-I", "-c", READ_WITHOUT_OUR_CODE, *folders.values()], check=True)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_network_answers_alike_without_our_code_for_any_batch_and_size(answered, kind):
    engine = PytorchEngine(prepare(network_of(std=0.1, **KINDS[kind])), 1)
    verb, noun = torch.load(answered[kind] / "answers.pt")
    for i, clip in enumerate(torch.load(answered[kind] / "frames.pt")):
        torch.testing.assert_close((verb[i], noun[i]), tuple(engine.score(clip.numpy())), atol=1e-5, rtol=1e-4)


def test_the_module_of_a_network_of_verbs_answers_verb_logits_alone():
    both, example = export_module(network_of())
    alone, _ = export_module(network_of(), has_objects=False)
    torch.testing.assert_close(alone(example), both(example)[0], atol=1e-5, rtol=1e-4)
