"""A package is whole; its check passes alone, and names the part of each fault."""

import json
import runpy
import shutil
import sys

import jsonschema
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from tasks.errors import BadConfiguration
from tasks.learn.engines.graph import make_graph, write_onnx
from tasks.learn.engines.model_files import describe
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.options import Modality, SegmentOptions
from tasks.served.package import folder as packages
from tasks.served.package.folder import Contract, check_package, input_of, window_of, write_package
from tasks.served.package.sample import make_sample
from tasks.store.records.export import PackageScore
from tests.learn.tiny import CLASSES, network_of
from tests.pipeline.shelf import filmed
from tests.records import some

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")]  # of torch's own, when it exports
SEGMENT = SegmentOptions(clip_seconds=1, min_clip_seconds=0.5)
PAIRS = ((0, 0), (1, 2), (2, 2))


def packed(folder, network, precision="fp32"):
    """Write the package of a network, in ONNX; that of int8 is any model that answers otherwise than PyTorch."""
    saved, window = Saved((network,), (HeadWeights(1, 1),), CLASSES), window_of(SEGMENT)
    sample = make_sample(saved, SEGMENT, ("frames",), folder)
    graph, path = make_graph(saved, 0.5, 2), folder / "tiny.onnx"
    write_onnx(graph, path, "fp32")
    if precision == "int8":
        change_offset(path, 1)
        sample = sample.expecting(path)
    read = {"window": window, "inputs": tuple(input_of(own, network.spec, window) for own in graph.inputs), "outputs": graph.outputs}
    names = {"verbs": CLASSES.verbs, "nouns": CLASSES.nouns, "pairs": PAIRS, "nothing": 4}
    answers = {"verb_temperature": 0.5, "noun_temperature": 2, "threshold": 0.9, "tolerance": sample.tolerance(precision)}
    told = {"refused": "int8 is refused, and fp32 is delivered: this is a test", "versions": {"onnx": onnx.__version__}}
    score = PackageScore(split="val", target="verb", top1=0.5, top1_interval=(0.25, 0.75), num_clips=20, num_sources=5)
    contract = some(Contract, format="onnx", precision=precision, scores=(score,), **read, **names, **answers, **told)
    describe(path, contract.metadata())
    write_package(folder / "package", contract, path, sample)
    return folder / "package"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("package"), network_of())


def answered(package, monkeypatch, *arguments):
    """Run the program of a package in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(package / "predict.py"), run_name="__main__")
    return ended.value.code


def test_its_check_passes_with_its_requirements_alone(package):
    result = check_package(package)
    assert [(part.name, part.problem) for part in result.parts] == [
        (name, "") for name in ("decoding", "preprocessing", "network", "labels", "contract")
    ]
    assert result.passed
    assert [name for name, _ in result.versions] == ["av", "numpy", "onnxruntime"]


def test_its_contract_agrees_with_the_schema_and_the_model(package):
    contract = json.loads((package / "contract.json").read_text())
    schema = json.loads((package / "contract.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(contract, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({name: value for name, value in contract.items() if name != "pairs"}, schema)
    Contract.model_validate(contract)
    for change in ({"pairs": [(0, 4)]}, {"pairs": [], "outputs": ["verb_logits", "verb_probabilities", "features"]}):
        with pytest.raises(ValueError, match="the pairs"):
            Contract.model_validate({**contract, **change})
    kept = {entry.key: entry.value for entry in onnx.load(package / "model.onnx").metadata_props}
    assert json.loads(kept["retake pairs"]) == contract["pairs"]
    assert kept["model_info labels"] == "a b c d e"
    readme = (package / "README.md").read_text()
    assert "| val | verbs | 50.0 % | [25.0, 75.0] | 20 | 5 |" in readme
    assert "\n\nint8 is refused, and fp32 is delivered: this is a test.\n\n## Limits" in readme
    assert len((package / "predict.py").read_text().splitlines()) <= 200
    assert "tasks" not in (package / "predict.py").read_text() + (package / "check" / "check.py").read_text()


def test_films_of_a_folder_are_answered_and_one_that_cannot_be_read_is_named(package, ffmpeg, tmp_path, monkeypatch, capsys):
    filmed(ffmpeg, tmp_path / "film.mp4", seconds=2)
    (tmp_path / "damaged.mp4").write_bytes(b"no film")
    (tmp_path / "labels.csv").write_text("no film either")
    assert answered(package, monkeypatch, tmp_path, "--stride-seconds", "0.5") == 1
    printed = capsys.readouterr()
    intervals = [json.loads(line) for line in printed.out.splitlines()]
    assert (intervals[0]["start"], intervals[-1]["stop"]) == (0, 2)
    assert {own["source"] for own in intervals} == {str(tmp_path / "film.mp4")}
    assert printed.err.startswith(f"{tmp_path / 'damaged.mp4'}: ")
    assert len(printed.err.splitlines()) == 1
    assert answered(package, monkeypatch, tmp_path / "film.mp4", "--format", "vtt") == 0
    assert capsys.readouterr().out.startswith("WEBVTT\n")
    assert answered(package, monkeypatch, tmp_path / "film.mp4", "--stride-seconds", "0.7") == 2
    assert "a stride that 30 frames are a whole number of" in capsys.readouterr().err


def of_contract(change):
    """Make a fault of the contract: fields that `change` gives."""

    def plant(package, _):
        contract = json.loads((package / "contract.json").read_text())
        (package / "contract.json").write_text(json.dumps(contract | change(contract)))

    return plant


def replace_in(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def change_offset(path, by):
    change_weights(path, lambda name, values: values + np.float32(by) if name.endswith("offset") else values)


def change_weights(path, change):
    model = onnx.load(path)
    changed = 0
    for own in model.graph.initializer:
        values = numpy_helper.to_array(own)
        if (other := change(own.name, values)) is not values:
            own.CopyFrom(numpy_helper.from_array(other, own.name))
            changed += 1
    assert changed
    onnx.save(model, path)


def swap_classes(package, _=None):
    change_weights(package / "model.onnx", lambda name, values: values[::-1].copy() if "head" in name else values)


FAULTS = {
    "another film": (
        "decoding",
        lambda package, ffmpeg: filmed(ffmpeg, package / "check" / "clip.mp4", picture="testsrc2=s=384x288:r=25,hue=h=5"),
    ),
    "other colours": ("preprocessing", lambda package, _: replace_in(package / "predict.py", 'format="rgb24"', 'format="bgr24"')),
    "other times": ("preprocessing", lambda package, _: replace_in(package / "predict.py", "denominator + 1) // 2", "denominator) // 2")),
    "another mean": ("network", lambda package, _: change_offset(package / "model.onnx", 0.1)),
    "swapped classes": ("network", swap_classes),
    "another temperature": ("network", of_contract(lambda contract: {"noun_temperature": 3})),
    "swapped labels": ("labels", of_contract(lambda contract: {"verbs": [*contract["verbs"][1::-1], *contract["verbs"][2:]]})),
    "another threshold": ("contract", of_contract(lambda contract: {"threshold": 0.1})),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_by_its_part(fault, package, ffmpeg, tmp_path, monkeypatch, capsys):
    part, plant = FAULTS[fault]
    faulty = shutil.copytree(package, tmp_path / "faulty")
    plant(faulty, ffmpeg)
    assert answered(faulty, monkeypatch, "--check") == 1
    parts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert next(own["part"] for own in parts if not own["right"]) == part


def test_an_int8_package_is_held_to_its_own_answers(tmp_path, monkeypatch, capsys):
    package = packed(tmp_path, network_of(), "int8")
    assert answered(package, monkeypatch, "--check") == 0
    swap_classes(package)
    assert answered(package, monkeypatch, "--check") == 1
    assert "logits differ by" in capsys.readouterr().out


def test_an_image_has_no_other_files_of_the_folder(package):
    lines = (line.split() for line in (package / "Dockerfile").read_text().splitlines())
    patterns = {pattern for command, *names in lines if command == "COPY" for pattern in names[:-1]}
    assert patterns == {"requirements.txt", "contract.json", "predict.py", "model.*", "check"}


def test_a_check_that_does_not_end_is_named(package, monkeypatch):
    monkeypatch.setattr(packages, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(packages, "make_environment", lambda *_: sys.executable)
    with pytest.raises(BadConfiguration, match=r"its check takes longer than 0\.001 s; end other work"):
        check_package(package)


def test_a_requirement_that_is_not_installed_is_named(package, tmp_path):
    other = shutil.copytree(package, tmp_path / "other")
    (other / "requirements.txt").write_text("av>=16\nno-such-runtime>=1\n")
    with pytest.raises(BadConfiguration, match="no-such-runtime>=1 is not installed"):
        check_package(other)
    (other / "requirements.txt").write_text("numpy>=99\n")
    with pytest.raises(BadConfiguration, match="a package needs numpy>=99"):
        check_package(other)


def test_a_network_without_frames_is_checked_by_arrays_alone_which_the_cpu_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    saved = Saved((network_of(backbone="log-mel", modality=Modality.SOUND),), (HeadWeights(1, 1),), CLASSES)
    sample = make_sample(saved, SEGMENT, ("sound",), tmp_path)
    assert sorted(sample.arrays) == ["cut/noun_logits", "cut/sound", "cut/verb_logits"]
