"""Whatever a label file holds, reading it takes bounded time and memory, and costs at most its own labels.

RETAKE_FUZZ_LABELS=5000 tries that number of damaged files, RETAKE_FUZZ_LABELS=137:138 one alone.
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.exported import LabelSpan, video_spans
from tasks.data.labels.formats import formats
from tasks.data.labels.reading import layout_of
from tasks.errors import BadLabels
from tests.data.labels.formats.test_round_trips import files_of, record
from tests.data.labels.formats.worst import EMOJI, LONGEST, MAX_MEGABYTES, MAX_SECONDS, PROJECT, VIA, WORST
from tests.data.video.hostile import mutated

VERY_MANY = ("a million intervals", "intervals that run on")
FIRST, _, STOP = os.environ.get("RETAKE_FUZZ_LABELS", "200").rpartition(":")
NUMBERS = range(int(FIRST or 0), int(STOP))
TOLERATED_SECONDS = 5
"""Of the processor, for a file of some kilobytes."""


@pytest.fixture(scope="module")
def measured(request) -> dict[str, tuple[float, float, str]]:
    """Seconds of the processor on a usual machine, megabytes, and the last problem of each of the worst files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # counting lines takes longer
    command = [sys.executable, "-m", "tests.data.labels.formats.worst", *request.param]
    done = subprocess.run(command, cwd=Path(__file__).parents[4], env=environment, capture_output=True, text=True, check=True)
    return {name: tuple(cost) for name, *cost in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measured", "names", "max_seconds", "max_megabytes"),
    [
        pytest.param(["0.25"], WORST, MAX_SECONDS / 5, MAX_MEGABYTES, id="small", marks=pytest.mark.timeout(900)),
        pytest.param(["4", *VERY_MANY], VERY_MANY, MAX_SECONDS / 2, 150, id="intervals", marks=pytest.mark.timeout(900)),
        pytest.param(["64"], WORST, MAX_SECONDS, MAX_MEGABYTES, id="large", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
    indirect=["measured"],
)
def test_the_worst_file_of_each_reader_is_read_within_the_limits(measured, names, max_seconds, max_megabytes):
    assert measured.keys() == set(names)
    beyond = {name: cost for name, cost in measured.items() if cost[0] > max_seconds or cost[1] > max_megabytes}
    assert not beyond


def valid() -> list[bytes]:
    """A small file of each format."""
    spans = video_spans(
        [record("a.mp4", "0" * 64, 25)], {"0" * 64: [LabelSpan(0, 8, "put", "meat"), LabelSpan(8, 16, "take-off", "bag")]}, {}
    )
    written = [content for name, writer in formats().writers.items() for content in files_of(name, writer.write(spans)).values()]
    archives = [writer.write(spans) for writer in formats().writers.values() if writer.suffix == ".zip"]
    texts = [
        "uid,verb,noun,source\na.mp4,put,meat,kitchen\na.mp4,put,meat,\n",
        "target,name,same_as\nverb,lay,put\nnoun,steak,meat\nnoun,tray,-\n",
        "verb_id,class_key,verbs\n1,put,\"['put', 'lay']\"\n",
        "id,key,instances\n1,put,\"['put', 'lay']\"\n",
        "video,fully_labelled\na.mp4,yes\n",
        "a.mp4 put meat\nb.mp4 take bag\n",
        "label,youtube_id,time_start,time_end\nput meat,a,0,8\n",
        "classname,youtube_id,subset,start,end,label\nput meat,a,training,0,8,1\n",
        "Behavior,Start (s),Stop (s),Media file name,Modifier 1\nput,0,8,a.mp4,meat\n",
        "annotation_id;annotator;video;action\n1;1;a.mp4;put meat\n",
        f'{VIA}1,"[""a.mp4""]",0,8,"{{""action"":""put meat""}}"\n',
        PROJECT % 1 + '"1":{"vid":1,"z":[0,8],"av":{"1":"1"}}}}',
        '[{"annotation_id":1,"annotator":1,"video":"a.mp4","verb":[{"ranges":[{"start":1,"end":90}],"timelinelabels":["put"]}]}]',
        '<annotations><meta><task><source>a.mp4</source></task></meta><image id="0"><tag label="put meat"/></image></annotations>',
    ]
    return [*written, *archives, *(text.encode() for text in texts)]


TOKEN = re.compile(r'[^,;:<>{}\[\]"=/\s]+|.', re.DOTALL)
HOSTILE = [
    "", "-1", "0", "1e999", "-1e-999", "NaN", "9" * 5000, "0x10", "null", "true", '"', "\n", ",", "<", "&x;", "\0", "\u202e", "\ufeff", "=1+1",
    EMOJI * 2000, LONGEST * 2000, "[" * 2000, '{"a":' * 2000, "<a>" * 60, "a.mp4", "put", "../" * 300, "," * 2000, "\r", "\ud800",
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252", "shift_jis", "utf-7"]


def damaged(number: int, sources: list[bytes]) -> bytes:
    """Damage a file by its parts, or by its bytes; equal numbers damage it alike."""
    rng = random.Random(number)  # noqa: S311 - repeated by its number
    content = sources[number % len(sources)]
    if content.startswith(b"PK") or rng.randrange(5) == 0:
        return mutated(content, number)
    parts = TOKEN.findall(content.decode())
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not parts:
            break
        start, other, length = rng.randrange(len(parts)), rng.randrange(len(parts)), rng.choice((1, 1, 5, 30))
        match rng.randrange(5):
            case 0:
                del parts[start : start + length]
            case 1:
                parts[start:start] = parts[start : start + length] * rng.choice((1, 1, 200))
            case 2:
                parts[start], parts[other] = parts[other], parts[start]
            case 3:
                parts[start] = rng.choice(HOSTILE)
            case _:
                if rng.randrange(4) == 0:
                    del parts[start:]
    return "".join(parts).encode(rng.choice(ENCODINGS) if rng.randrange(4) == 0 else "utf-8", "replace")


@pytest.mark.parametrize(
    "numbers", [NUMBERS, pytest.param(range(5000), marks=[pytest.mark.long, pytest.mark.timeout(1800)])], ids=["some", "many"]
)
def test_a_damaged_label_file_costs_itself_alone(label, numbers):
    sources = valid()
    for number in numbers:
        content = damaged(number, sources)
        began = time.process_time()
        try:
            layout_of(AnnotationFile("a.mp4.csv", content))
        except BadLabels:
            pass
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            pytest.fail(f"{number}: {type(error).__name__}: {error}")
        try:
            labelling = label(
                {"a.mp4": 2, "b.mp4": 1, "c.mp4": 1}, {"a.mp4.csv": content, "z.csv": "uid,verb,noun\nc,wave,flag\n"}, nothing_share=1
            )
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{number}: {type(error).__name__}: {error}")
        assert labelling.clips[-1].action == "wave flag", number
        assert time.process_time() - began < TOLERATED_SECONDS, number
