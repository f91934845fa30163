"""Plugins of other packages: the example of the docs, and broken ones beside it. Packages are installed by their metadata alone."""

import json
import sys
import tomllib

import pytest
import torch

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.formats import formats
from tasks.data.labels.reading import layout_of, read_annotations
from tasks.errors import BadConfiguration, BadLabels
from tasks.learn.networks import backbones
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec, no_names
from tasks.local.home_folder import REPOSITORY
from tasks.pipeline.build_dataset import label
from tasks.pipeline.build_dataset.contract import LabelArguments
from tasks.pipeline.retrain.register import _packages
from tests.data.conftest import NO_VIDEOS
from tests.pipeline.shelf import Shelf, taken_in

EXAMPLE = REPOSITORY / "docs" / "plugin"
LOG = AnnotationFile("log.csv", b"film,begin,end,doing\na.mp4,0,8,put meat\na.mp4,9,?,take bag\n")
TASKS = AnnotationFile("tasks.json", b'[{"data": {"video": "a.mp4"}, "annotations": []}]')
BROKEN = """
from tasks.data.labels.formats import DocumentFormat, TableFormat, Writer

def fails(*_):
    raise ZeroDivisionError("for once")

def gives_text(*_):
    yield "a label"

JSON = DocumentFormat("Broken JSON", fails, is_json=fails)
FILMS = DocumentFormat("films", fails, is_text=fails, suffixes=(".mp4",))
LETTERS = DocumentFormat("letters", fails, is_text=fails, suffixes=".log")
TAKEN = TableFormat("BORIS", ("film",), fails)
GREEDY = (
    TableFormat("Greedy", ("uid",), fails),
    TableFormat("Failing", ("fails",), fails),
    TableFormat("Text", ("text",), gives_text),
    DocumentFormat("Any text", fails, is_text=lambda _: True),
    DocumentFormat("Any XML", fails, xml_root="annotations"),
)
WRITER = Writer("broken", ".txt", fails)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install the example, and a package `acme-broken` with other entry points."""

    def run(**plugins):
        of_example = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
        groups = {f"retake.{group}": values for group, values in plugins.items()}
        for name, version, points in (("acme-kitchen", "1.0", of_example["entry-points"]), ("acme-broken", "2.0", groups)):
            folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            lines = (f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()) for group, values in points.items())
            (folder / "entry_points.txt").write_text("\n".join(lines))
        (tmp_path / "acme_broken.py").write_text(BROKEN)
        monkeypatch.syspath_prepend(EXAMPLE)
        monkeypatch.syspath_prepend(tmp_path)
        formats.cache_clear()

    yield run
    formats.cache_clear()
    for module in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[module]


def test_the_example_reads_its_files_and_builds_its_backbone(install):
    install()
    read = read_annotations(LOG, NO_VIDEOS)
    assert (read.layout, [label.label.text for label in read.labels], list(read.refused)) == (
        "Acme log",
        ["put meat"],
        [(3, "end '?' is not a number")],
    )
    spec = NetworkSpec(backbone="acme_tiny", num_segments=2, num_verbs=5, num_nouns=4)
    network = Network(spec)
    assert network(torch.rand(1, 2, 3, 224, 224)).verb.shape == (1, 5)
    assert "acme-kitchen" in _packages(Saved((network,), (HeadWeights(1, 1),), no_names(spec))), "a registered model needs it"
    assert [backbones.find(name).package for name in ("acme_tiny", "resnet50")] == ["acme-kitchen", ""]


@pytest.mark.parametrize(
    ("plugin", "warning"),
    [
        ("acme_absent:FORMAT", "cannot be loaded: ModuleNotFoundError"),
        ("json:loads", "is a function"),
        ("sys:version_info", "int is no format"),
        ("acme_broken:TAKEN", "there is a format 'BORIS' already"),
        ("acme_broken:FILMS", "'.mp4' is no ending of label files"),
        ("acme_broken:LETTERS", "'.' is no ending of label files"),
        ("acme_broken:JSON", "failed: ZeroDivisionError: for once"),
        ("acme_broken:GREEDY", ""),
    ],
)
def test_a_broken_plugin_is_named_and_never_stops_the_others(install, caplog, plugin, warning):
    install(label_formats={"mine": plugin})
    assert [layout_of(LOG), layout_of(TASKS)] == ["Acme log", "Label Studio JSON"]
    assert layout_of(AnnotationFile("labels.csv", b"uid,verb,noun\na.mp4,put,meat\n")) == "clips"
    assert layout_of(AnnotationFile("a.xml", b"<annotations/>")) == "CVAT XML"
    assert layout_of(AnnotationFile("list.txt", b"a.mp4 put meat\n")) == "list of videos and labels"
    with pytest.raises(BadLabels, match="is JSON of no known tool"):
        layout_of(AnnotationFile("x.json", json.dumps({"x": 1}).encode()))
    assert bool(warning) == ("the plugin mine of acme-broken 2.0" in caplog.text)
    assert warning in caplog.text


def test_the_files_of_a_plugin_that_is_left_out_are_named_with_the_labels(install):
    install(label_formats={"mine": "acme_absent:FORMAT"})
    shelf = Shelf()
    taken_in(shelf, ["put meat/a.mp4"])
    for name in ("films.acme", "later.csv"):
        shelf.write_bytes(f"s3://retake/annotations/{name}", b"uid,verb,noun\na,take,bag\n")
    result = label.run(LabelArguments(store="s3://retake"), shelf)
    (problem,) = result.first_problems
    assert (result.num_labelled, problem.file) == (1, "films.acme")
    assert "no label format has; the plugin mine of acme-broken 2.0 is left out: " in problem.reason


@pytest.mark.parametrize(("columns", "reason"), [("fails", "failed: ZeroDivisionError: for once"), ("text", "which gave a str")])
def test_a_plugin_that_fails_refuses_a_file_in_its_own_name(install, columns, reason):
    install(label_formats={"mine": "acme_broken:GREEDY", "out": "acme_broken:WRITER"})
    with pytest.raises(BadLabels, match=f"the plugin mine of acme-broken 2.0.*{reason}"):
        read_annotations(AnnotationFile("x.csv", f"{columns}\n1\n".encode()), NO_VIDEOS)
    with pytest.raises(BadLabels, match="the plugin out of acme-broken"):
        formats().writers["broken"].write([])


@pytest.mark.parametrize(("plugin", "reason"), [("acme_absent:B", "cannot be loaded"), ("json:loads", "is a function")])
def test_a_broken_backbone_is_named_when_it_is_chosen(install, plugin, reason):
    install(backbones={"acme_broken": plugin, "resnet50": plugin})
    assert [backbones.find(name).num_features for name in ("acme_tiny", "resnet50")] == [16, 2048]
    with pytest.raises(BadConfiguration, match=f"the plugin acme_broken of acme-broken 2.0 {reason}"):
        backbones.find("acme_broken")
    with pytest.raises(BadConfiguration, match="did you mean acme_broken"):
        backbones.find("acme_brokn")
