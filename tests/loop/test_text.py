"""The summary and a difference of datasets at a shell."""

import pytest
from hypothesis import given, settings

from tasks.loop.advice import Live, next_steps, sentence
from tasks.loop.text import INDENT, WIDTH, lines_of, lines_of_difference
from tasks.store.records.status import (
    AdvisedStep,
    Difference,
    DifferentClip,
    DifferentVideo,
    DiffResult,
    LoopStatus,
    SpaceStatus,
    SpaceUse,
    SplitChange,
    StatusResult,
)
from tests.loop.statuses import NOW, any_status, status
from tests.records import some


def result_of(state):
    steps = tuple(AdvisedStep(text=step.text, url=step.url) for step in next_steps(state, Live(now=NOW), str))
    return StatusResult(sentence=sentence(state, NOW), next_steps=steps, status=state)


def uses(size_bytes):
    cache = SpaceUse(name="cache of this machine", num_objects=1, size_bytes=10 * size_bytes, is_cache=True)
    return SpaceUse(name="clips", num_objects=1, size_bytes=size_bytes), cache


@settings(max_examples=50)
@given(any_status)
def test_every_line_but_an_address_fits_a_terminal(state):
    result = result_of(state)
    addresses = {f"   {step.url}" for step in result.next_steps}
    assert [line for line in lines_of(result) if len(line) > WIDTH and line not in addresses] == []


def test_the_boxes_name_the_numbers():
    space = SpaceStatus(at=NOW, before=uses(95), after=uses(5), is_dry_run=True)
    told = " ".join(" ".join(lines_of(result_of(status(space=space)))).split())
    for wanted in (
        "Films 12 films; 300 clips in the latest ingest; 2 new at 2026-11-29 20:41",
        "3 files set aside: a.mp4: broken",
        "Labels 40 of 300 clips (13.3 %); 1 rejected line",
        "40 by person ada",
        "No second reader yet",
        "train 20 clips of 3 films, val 15 clips of 3 films, test 5 clips of 3 films",
        "since d1: 1 film and 1 clip more",
        "before: d1 (2026-11-30 21:00)",
        "light; 20 clips of dataset d2; about 4 min 00 s",
        "v2 provisional at 2026-11-30 20:41: names 40 % of actions [11, 75] on 15 clips",
        "worst: put meat (1 of 5 right)",
        "25.0 % unsure",
        "Space 95 bytes in the store at 2026-11-30 21:00; clean_up would delete 90 bytes",
    ):
        assert wanted in told


@pytest.mark.parametrize(("is_dry_run", "store_bytes"), [(True, 95), (False, 5)])
def test_the_size_of_the_store_is_without_the_cache_and_in_a_dry_run_that_before(is_dry_run, store_bytes):
    space = SpaceStatus(at=NOW, before=uses(95), after=uses(5), is_dry_run=is_dry_run)
    assert (space.store_bytes, space.freed_bytes) == (store_bytes, 90)


def test_a_part_without_a_summary_says_when_it_appears():
    lines = list(lines_of(result_of(LoopStatus(store="s3://retake", model_name="m"))))
    assert f"{'Films':<{INDENT}}appears with the next run of the step summarise" in lines


def test_a_difference_is_listed_whole():
    clip = {"uid": "c", "start_seconds": 8, "stop_seconds": 16}
    lists = some(
        Difference,
        videos_added=(DifferentVideo(name="b.mp4", video="b", num_clips=2),),
        clips_removed=(DifferentClip(name="old.mp4", before="put meat", after="", **clip),),
        relabelled=tuple(DifferentClip(name=f"{number}.mp4", before="put meat", after="take bag", **clip) for number in range(30)),
        splits=(SplitChange(split="train", before=4, after=6),),
    )
    lines = list(lines_of_difference(DiffResult(before="d1", after="d2", difference=lists)))
    assert lines[:3] == ["From dataset d1 to d2; clips: train 4 to 6", "1 film added", "  b.mp4: 2 clips"]
    assert lines[3:5] == ["1 clip removed", "  old.mp4 0:08\N{EN DASH}0:16: put meat"]
    assert len(lines) == 5 + 1 + 30
    assert lines[-1] == "  29.mp4 0:08\N{EN DASH}0:16: put meat to take bag"
