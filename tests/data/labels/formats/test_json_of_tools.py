"""ActivityNet, HACS segments and FiftyOne."""

import json

import pytest


def test_activitynet_and_hacs_segments(read):
    good = {"subset": "training", "duration": "92.17", "url": "x", "annotations": [{"label": "Put meat", "segment": [0, 8.0]}]}
    bad = [{"label": "Wave", "segment": [0]}, {"label": "", "segment": [0, 1]}, {"label": "x", "segment": ["0", "1e999"]}, 7]
    database = {"--0edUL8zmA": good, "b": {"subset": "testing", "duration": 9}, "c": {"annotations": bad}}
    files = {"activity_net.json": json.dumps({"version": "1.3", "taxonomy": [], "database": database})}
    assert read(files, {"v_--0edUL8zmA.mp4": 2, "c.mp4": 1}) == (
        ["put meat", None, None],
        [
            "activity_net.json, video c, annotation 1: segment is not a start and an end",
            "activity_net.json, video c, annotation 2: has no label",
            "activity_net.json, video c, annotation 3: end '1e999' is not a number",
            "activity_net.json, video c, annotation 4: annotation is not an object",
        ],
    )


@pytest.mark.parametrize("times", [{"support": [241, 480]}, {"timestamps": [8, 16]}])
def test_fiftyone_counts_frames_from_one_and_includes_the_last(read, times):
    labels = {"classes": ["take bag", "put meat"], "labels": {"a": [{"label": 1, "confidence": 0.9, **times}], "b": None}}
    assert read({"labels.json": json.dumps(labels)}, {"x/a.mp4": 3}, min_overlap=1) == ([None, "put meat", None], [])


def test_fiftyones_odd_labels_are_named(read):
    given = [{"label": 2, "support": [1, 2]}, {"label": "wave", "support": [0, 2]}, {"label": 0}, {"label": True, "support": [1, 2]}]
    _, told = read({"labels.json": json.dumps({"classes": ["wave"], "labels": {"a": given, "z": given[:1]}})})
    assert [reason.partition(": ")[2] for reason in told[:4]] == [
        "label 2 is in no list of classes",
        "begins at frame 0, but frames count from 1",
        "has no support",
        "label 'True' is not a number",
    ]
    assert "'z' matches no ingested video" in told[4]
