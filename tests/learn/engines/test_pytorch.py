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
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS
from tasks.options import Family, Modality
from tests.learn.tiny import outspoken, tiny
from tests.learn.tiny_video import TINY_VIDEO, tiny_video_network

READ_WITHOUT_OUR_CODE = """
import sys, torch
from pathlib import Path
for folder in map(Path, sys.argv[1:]):
    verb, noun = torch.export.load(folder / "model.pt2").module()(torch.load(folder / "frames.pt"))
    torch.save([verb.detach(), noun.detach()], folder / "answers.pt")
assert not any(name.split(".")[0] == "tasks" for name in sys.modules)
"""
NETWORKS = {
    Family.TSN: Modality.RGB,
    Family.TRN: Modality.FLOW,
    Family.MTRN: Modality.RGB_DIFFERENCE,
    Family.TSM: Modality.RGB,
    Family.VIDEO: Modality.RGB,
}
"""Every family and every input."""


def network_of(family: Family, **changes) -> Network:
    backbone = TINY_VIDEO.name if family is Family.VIDEO else "tiny_resnet"
    return outspoken(
        Network(tiny(family, **{"backbone": backbone, "num_segments": 3, "modality": NETWORKS[family]} | changes), seed=1), std=0.1
    )


def exported(module, example):
    """Export as MLflow's pt2 format does."""
    return torch.export.export(module, (example,), dynamic_shapes=[{0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}])


def test_every_family_and_every_input_is_exported_with_the_crop_of_the_protocol():
    assert set(NETWORKS) == set(Family)
    assert set(NETWORKS.values()) == {modality for modality in Modality if not modality.is_heard}
    sizes = range(224, 480)
    assert [(half(pixels - 224), half(256 - 224)) for pixels in sizes] == [centre_offset(pixels, 256) for pixels in sizes]


@pytest.fixture(scope="module", autouse=True)
def tiny_video() -> Iterator[None]:
    with tiny_video_network():
        yield


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    """Folders with frames and what the exported network answers to them, in one process that has all read without our code."""
    folders = {family: tmp_path_factory.mktemp(family) for family in NETWORKS}
    for family, folder in folders.items():
        network = network_of(family)
        torch.export.save(exported(*export_module(network)), folder / "model.pt2")
        frames = torch.randint(0, 256, (3, 3, 261, 455, network.spec.snippet.num_planes), dtype=torch.uint8)
        torch.save(frames, folder / "frames.pt")
    subprocess.run([sys.executable, "-I", "-c", READ_WITHOUT_OUR_CODE, *folders.values()], check=True)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("family", NETWORKS)
def test_an_exported_network_answers_alike_without_our_code_for_any_batch_and_size(answered, family):
    verb, noun = torch.load(answered[family] / "answers.pt")
    for i, clip in enumerate(torch.load(answered[family] / "frames.pt")):
        logits = PytorchEngine(prepare(network_of(family)), 1).score(clip.numpy())
        torch.testing.assert_close(verb[i], logits.verb, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(noun[i], logits.noun, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [*({"consensus": consensus} for consensus in CONSENSUS_OF_HEADS.values()), {"backbone": "test_vit"}],
    ids=lambda changes: next(iter(changes.values())),
)
def test_a_network_with_a_chosen_head_or_of_a_transformer_is_exported_for_any_batch_and_size(changes):
    module, example = export_module(network_of(Family.TSN, num_segments=9, **changes))
    program = exported(module, example)
    frames = torch.randint(0, 256, (3, 9, 261, 455, 3), dtype=torch.uint8)
    with torch.inference_mode():
        for ours, theirs in zip(program.module()(frames), module(frames), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_of_a_network_that_was_taught_verbs_alone_the_verb_logits_are_exported():
    network = network_of(Family.TSN)
    both, example = export_module(network)
    verb, _ = both(example)
    alone, _ = export_module(network, has_objects=False)
    (logits,) = torch.export.export(alone, (example,)).module()(example).split(2)
    torch.testing.assert_close(logits, verb, atol=1e-5, rtol=1e-4)
