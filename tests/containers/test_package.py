"""The image that a package's Dockerfile builds checks itself, without Retake or a network."""

import json
import subprocess
from pathlib import Path

import pytest

from tasks.learn.engines.graph import make_graph, write_onnx
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import SegmentOptions
from tasks.served.package.folder import Contract, input_of, window_of, write_package
from tasks.served.package.sample import make_sample
from tests.containers.stack import STACK_SECONDS
from tests.records import some

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS), pytest.mark.filterwarnings("ignore::FutureWarning")]

IMAGE, BASE = "retake/package:test", "python:3.11-slim-trixie"
"""The base is that of Retake's own images, which this machine has."""

HARDENED = ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    folder, segment = tmp_path_factory.mktemp("package"), SegmentOptions(clip_seconds=2)
    network = Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=2, num_nouns=2), seed=1)
    saved = Saved((network,), (HeadWeights(1, 1),), ClassNames(verbs=("put", "take"), nouns=("bag", "meat")))
    graph = make_graph(saved, 1, 1)
    write_onnx(graph, folder / "model.onnx", "fp32")
    window, sample = window_of(segment), make_sample(saved, segment, [own.name for own in graph.inputs], folder)
    (own,) = graph.inputs
    contract = some(
        Contract,
        window=window,
        inputs=(input_of(own, network.spec, window),),
        outputs=graph.outputs,
        verbs=saved.classes.verbs,
        nouns=saved.classes.nouns,
        verb_temperature=1,
        noun_temperature=1,
        tolerance=sample.tolerance("fp32"),
        max_difference=0,
        versions={},
    )
    write_package(folder / "package", contract, folder / "model.onnx", sample)
    return folder / "package"


def docker(*command: str) -> str:
    done = subprocess.run(["docker", *command], capture_output=True, text=True, timeout=STACK_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_image_of_a_package_is_not_root_and_answers_as_the_registered_model_without_a_network(package):
    docker("build", "--build-arg", f"BASE={BASE}", "--tag", IMAGE, str(package))
    try:
        assert docker("run", "--rm", *HARDENED, "--entrypoint", "id", IMAGE, "-u").strip() != "0"
        parts = [json.loads(line) for line in docker("run", "--rm", *HARDENED, IMAGE, "--check").splitlines()]
        assert {part["part"]: part["problem"] for part in parts} == dict.fromkeys(
            ("decoding", "preprocessing", "network", "labels", "contract"), ""
        )
    finally:
        docker("rmi", IMAGE)
