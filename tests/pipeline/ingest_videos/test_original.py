"""The form and the labels of `docs/original.md`, with a site on this machine in place of YouTube."""

import json
import re

import pytest

from tasks.data.split.manifest import dataset_digest
from tasks.local.home_folder import REPOSITORY
from tasks.options import PresetOptions
from tasks.store.records.dataset import Manifest
from tests.pipeline.in_process import Bench
from tests.pipeline.shelf import filmed
from tests.web_site import read_in_process, site

TOLD = (REPOSITORY / "docs" / "original.md").read_text(encoding="utf-8")
IDS = ("ZUr3DxYyTqI", "c-uBjf988yE", "wiAYDb73Dbo")


def block(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", TOLD, re.S)
    return re.sub(r"^ {3}", "", text, flags=re.M)


@pytest.mark.slow
def test_three_pages_and_a_file_of_labels_become_a_dataset_that_credits_them(ffmpeg, tmp_path, monkeypatch):
    read_in_process(monkeypatch, tmp_path / "cache")
    pictures = ("testsrc2=s=128x96:r=30", "smptebars=s=128x96:r=30", "testsrc=s=128x96:r=30")
    films = {name: filmed(ffmpeg, tmp_path / f"{name}.mp4", 16, picture).read_bytes() for name, picture in zip(IDS, pictures, strict=True)}
    form = json.loads(block("json"))
    labels = tmp_path / "original.csv"
    labels.write_text(block("csv"))
    bench = Bench()
    with site(films) as server:
        sources = [
            source.replace("https://www.youtube.com/watch?v=", f"http://{server.host}/watch/").replace("/home/me/original.csv", str(labels))
            for source in form["sources"]
        ]
        taken = bench.take(*sources, own_channels=[server.host])
        assert (taken.num_videos, taken.num_annotations, taken.num_set_aside) == (3, 1, 0)
    for batch in taken.batches:
        bench.run("segment", batch=batch.uri)
    bench.split(test_share=form["then"]["test_share"])
    dataset = bench.run("dataset", labels=bench.labels, test_share=form["then"]["test_share"])
    assert sum(dataset.num_clips.values()) == 6
    manifest = bench.store.read(f"{dataset.dataset_uri}manifest.json", Manifest)
    assert sorted(page.title for page in manifest.web_pages.values()) == sorted(f"Kitchen {name}" for name in IDS)
    assert dataset_digest(manifest.model_copy(update={"web_pages": {}})) == dataset_digest(manifest), "who is credited makes no new dataset"
    assert PresetOptions(preset=form["then"]["preset"])
