"""Label files that are built to take the most time and memory, each run in a process of its own.

As a program: worst.py SIZE_MIB NAME… prints for each its name, the seconds of the processor, the megabytes that it and its reading take at
most, and the last problem. The seconds are those of a usual machine: a table of known length tells how quick this one is.
"""

import csv
import io
import json
import os
import resource
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.formats.items import MAX_ITEMS
from tasks.data.labels.formats.safe_parsing import MAX_JSON_PARTS
from tasks.data.labels.formats.video_datasets import MAX_KINETICS_LINES
from tasks.data.labels.label_clips import label_clips
from tasks.data.labels.vocabulary import OwnClasses
from tasks.options import LabelOptions
from tests.data.labels.records import INTERVALS, clip_record, video_of, zipped

MAX_SECONDS, MAX_MEGABYTES = 10, 500
NUM_CLIPS, NUM_CLIPS_IF_SMALL = 10_800, 1080
"""Of a video of 24 hours, and of one for files of less than a MiB."""
USUAL_PLAIN_SECONDS = 0.012
"""Of the csv module for `PLAIN`, on a usual machine."""
PLAIN = "a.mp4,0,8,put,meat\n" * 20_000

EMOJI, LONGEST = "\U0001f600", "\ufdfa"
"""A sign that makes a text four times as large, and one that becomes eighteen when it is normalised."""
CLIPS, MERGES = "uid,verb,noun\n", "target,name,same_as\n"
VIA = "# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata\n"
PROJECT = '{"project":1,"attribute":{"1":{"aname":"action","options":{"1":"a"}}},"file":{"1":{"fname":"a.mp4"}},"view":{"1":{"fid_list":[%s]}},"metadata":{'
STUDIO = '[{"id":1,"data":{"video":"a.mp4"},"annotations":[{"result":['
SLOTS = '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="1" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="2" TIME_VALUE="8000"/></TIME_ORDER>'
EAF = f'<ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="a.mp4"/></HEADER>{SLOTS}<TIER TIER_ID="verb">'
TASK = "<annotations><meta><task><id>1</id><source>a.mp4</source></task></meta>"
TEXTS = ("id", "label", "name", "outside", "task_id")
VISIBLE = '<track label="%s"><box frame="1" outside="0"/><box frame="9" outside="1"/></track>'


def filled(size: int, head: str, part: Callable[[int], str], tail: str = "", between: str = "", most: int = 1 << 40) -> bytes:
    """A file of a size, or of the most parts."""
    parts, left = [head], size - len(head) - len(tail)
    for number in range(most):
        parts.append(between * bool(number) + part(number))
        left -= len(parts[-1].encode())
        if left < 0:
            break
    return ("".join(parts[:-1] if left < 0 else parts) + tail).encode()


def annotation(number: int, word: str = "p%d") -> str:
    return f'<ANNOTATION><A ANNOTATION_ID="{number}" TIME_SLOT_REF1="1" TIME_SLOT_REF2="2"><ANNOTATION_VALUE>{word % number}</ANNOTATION_VALUE></A></ANNOTATION>'


def _rare(number: int) -> str:
    """A text of two signs, which takes about 100 bytes."""
    return chr(0x1F000 + number % 3000) + chr(0x20000 + number // 3000)


def _attributes(names: Iterable[str], text: str = "") -> str:
    return "".join(f' {name}="{text}"' for name in names)


M = 1_000_000
WORST: dict[str, Callable[[int], bytes]] = {
    "a million intervals": lambda s: filled(s, INTERVALS, lambda i: f"{i % 25}.mp4,{i % 8000},{i % 8000 + 2.4},put,meat\n", most=M),
    "intervals that run on": lambda s: filled(s, INTERVALS, lambda i: f"a.mp4,{i % 80_000},{80_000 + i % 999},v{i % 40_000},x\n", most=M),
    "intervals of many labels": lambda s: filled(s, INTERVALS, lambda i: f"a.mp4,0,8,p{i},m{i}\n", most=49_999),
    "intervals of long labels": lambda s: filled(s, INTERVALS, lambda i: f"a.mp4,0,8,{LONGEST * 1000}{i},meat\n"),
    "intervals of one endless label": lambda s: f"{INTERVALS}a.mp4,0,8,{LONGEST * (s // 3)},meat\n".encode(),
    "intervals of many videos": lambda s: filled(s, INTERVALS, lambda i: f"a/{i}-b.mp4,0,8,put,meat\n", most=M),
    "intervals of long names": lambda s: filled(s, INTERVALS, lambda i: f"{'x/' * 500}{i}/a.mp4,0,8,put,meat\n"),
    "intervals of wide names": lambda s: filled(s, INTERVALS, lambda i: f"{EMOJI}{'x' * 1000}/{i}.mp4,0,8,put,meat\n"),
    "intervals without an end": lambda s: filled(s, INTERVALS, lambda i: f"a.mp4,{i},x,put,meat\n", most=M),
    "lines of one cell": lambda s: filled(s, INTERVALS, lambda i: "a\n", most=M),
    "empty lines": lambda s: INTERVALS.encode() + b"\n" * s,
    "a line of commas": lambda s: INTERVALS.encode() + b"," * s,
    "clips that contradict": lambda s: filled(s, CLIPS, lambda i: "a.mp4,put,meat\n", "a.mp4,take,bag\n", most=M),
    "clips": lambda s: filled(s, CLIPS, lambda i: f"a{i},put,meat\n", most=M),
    "merged names": lambda s: filled(min(s, 2 << 20), MERGES, lambda i: f"verb,v{i + 1},v{i}\n"),
    "merged names backwards": lambda s: filled(min(s, 2 << 20), MERGES, lambda i: f"verb,v{i},v{i + 1}\n"),
    "synonyms": lambda s: filled(min(s, 2 << 20), "id,key,instances\n", lambda i: f"3,c{i},\"{['x' + str(n) for n in range(i, i + 2000)]}\"\n"),
    "list": lambda s: filled(s, "a.mp4 put meat\n" * 20, lambda i: f"a{i}.mp4 put{i % 49_999} m\n", most=MAX_ITEMS - 20),
    "Kinetics": lambda s: filled(s, "label,youtube_id,time_start,time_end\n", lambda i: f"put {i % 49_999},x/{i},0,8\n", most=MAX_KINETICS_LINES - 9),
    "HACS": lambda s: filled(s, "classname,youtube_id,subset,start,end,label\n", lambda i: f"x {i % 49_999},-{i},t,0,8,1\n", most=MAX_ITEMS - 9),
    "EPIC": lambda s: filled(
        s, "video_id,start_timestamp,stop_timestamp,verb,noun,uid\n", lambda i: f"a/{i},00:00:00,00:00:08,p,n{i % 49_999},b/{i}\n", most=MAX_ITEMS - 9
    ),
    "BORIS": lambda s: filled(s, "Behavior,Start (s),Stop (s),Media file name\n", lambda i: f"put {i % 49_999},0,8,a{i};b\n", most=MAX_ITEMS - 9),
    "Label Studio CSV": lambda s: filled(s, "annotation_id,annotator,video,action\n", lambda i: f"1,1,a.mp4,p{i % 49_999}\n", most=MAX_ITEMS - 9),
    "VIA CSV": lambda s: filled(s, VIA, lambda i: f'1,"[""a.mp4""]",0,8,"{{""action"":""p{i % 49_999}""}}"\n', most=MAX_ITEMS - 9),
    "VIA of one view": lambda s: filled(
        s, PROJECT % ",".join(["1"] * min(s // 32, 400_000)), lambda i: f'"{i}":{{"vid":1,"z":[0,8],"av":{{"1":"1"}}}}', "}}", ",", most=121_000
    ),
    "VIA of many options": lambda s: filled(
        s, PROJECT % 1, lambda i: f'"{i}":{{"vid":1,"z":[0,8],"av":{{"1":"{"1," * 90}"}}}}', "}}", ",", most=4_999
    ),
    "ActivityNet": lambda s: filled(
        s,
        '{"database":{"a":{"annotations":[',
        lambda i: f'{{"label":"p{i % 49_999}","segment":[0,8]}}',
        "]}}}",
        ",",
        most=249_000,
    ),
    "ActivityNet of many videos": lambda s: filled(
        s, '{"database":{', lambda i: f'"a/{i}":{{"annotations":[{{"label":"p","segment":[0,8]}}]}}', "}}", ",", most=178_000
    ),
    "ActivityNet of one endless name": lambda s: f'{{"database":{{"{LONGEST * (s // 3)}":{{"annotations":[{{"label":"a","segment":[0,8]}}]}}}}}}'.encode(),
    "ActivityNet of many words": lambda s: filled(
        s, '{"database":{"a":{"annotations":[', lambda i: f'{{"label":"put a{i} {"b " * 480}","segment":[0,8]}}', "]}}}", ","
    ),
    "JSON of texts": lambda s: filled(s, '{"database":{},"x":[', lambda i: '"ab"', "]}", ",", most=MAX_JSON_PARTS - 9),
    "JSON of texts by keys": lambda s: filled(s, '{"database":{},"x":{', lambda i: f'"{_rare(i)}":"{_rare(i)}ab"', "}}", ",", most=MAX_JSON_PARTS - 9),
    "JSON of wide texts": lambda s: filled(s, '{"database":{},"x":[', lambda i: f'"{EMOJI}{"a" * 1000}"', "]}", ","),
    "JSON of objects": lambda s: filled(s, '{"database":{},"x":[', lambda i: f'{{"a{i}":"{_rare(i)}"}}', "]}", ",", most=624_000),
    "FiftyOne": lambda s: filled(
        s, '{"classes":["a"],"labels":{', lambda i: f'"a/{i}":[{{"label":0,"support":[1,9]}}]', "}}", ",", most=208_000
    ),
    "Label Studio": lambda s: filled(
        s,
        STUDIO,
        lambda i: f'{{"from_name":"{("verb", "noun")[i % 2]}","value":{{"ranges":[{{"start":{i + 1},"end":999999}}],"timelinelabels":["put"]}}}}',
        "]}]}]",
        ",",
        most=138_000,
    ),
    "Label Studio of names and ranges": lambda s: (
        f'{STUDIO}{{"from_name":"verb","value":{{"ranges":{json.dumps([{"start": 1, "end": 9}] * min(s // 60, 200_000))},"timelinelabels":{json.dumps(["a"] * min(s // 20, 600_000))}}}}}]}}]}}]'.encode()
    ),
    "CVAT tracks": lambda s: filled(s, TASK, lambda i: VISIBLE % f"p{i % 49_999}", "</annotations>", most=MAX_ITEMS - 9),
    "CVAT boxes": lambda s: zipped(
        {"annotations.xml": filled(2 * s, TASK + '<track label="p">', lambda i: f'<box frame="{i}"/>', "</track></annotations>", most=399_990)}
    ),
    "CVAT boxes of many texts": lambda s: zipped({"annotations.xml": filled(
        2 * s, TASK + '<track label="p">', lambda i: f'<box frame="{i}"{_attributes(TEXTS, _rare(i))}>{_rare(i)}</box>', "</track></annotations>", most=399_990
    )}),
    "CVAT tags": lambda s: filled(
        s, TASK, lambda i: f'<image id="{i}"><tag label="p{i % 49_999}"/></image>', "</annotations>", most=MAX_ITEMS - 9
    ),
    "CVAT of one endless name": lambda s: f"{TASK}<track label='{EMOJI}{'x' * s}'/></annotations>".encode(),
    "CVAT without sources": lambda s: filled(
        s // 2, "<annotations><meta>", lambda i: f"<task><id>{i}</id></task>", "<task><id>999999999</id><source>a.mp4</source></task></meta>", most=199_000
    )
    + b"<track/>" * min(s // 16, MAX_ITEMS - 9)
    + b"</annotations>",
    "XML of many attributes": lambda s: filled(s, TASK, lambda i: f"<x{_attributes(f'a{i}-{n}' for n in range(100))}/>", "</annotations>"),
    "XML of one endless tag": lambda s: filled(s, "<annotations", lambda i: f' a{i}=""', "><track/></annotations>"),
    "XML of one endless comment": lambda s: f"<!--{'x' * s}--><annotations/>".encode(),
    "ELAN": lambda s: filled(s, EAF, annotation, "</TIER></ANNOTATION_DOCUMENT>", most=49_999),
    "ELAN of many": lambda s: filled(s, EAF, lambda i: annotation(i, "p%.0s"), "</TIER></ANNOTATION_DOCUMENT>", most=133_000),
    "ELAN of many cameras": lambda s: filled(
        s // 2, "<ANNOTATION_DOCUMENT><HEADER>", lambda i: '<MEDIA_DESCRIPTOR MEDIA_URL="a.mp4"/>', most=99_000
    )
    + filled(s // 2, f'</HEADER>{SLOTS}<TIER TIER_ID="verb">', annotation, "</TIER></ANNOTATION_DOCUMENT>", most=49_999),
}  # fmt: skip


def main() -> None:
    size_bytes, names = int(float(sys.argv[1]) * (1 << 20)), sys.argv[2:] or WORST
    for name in names:
        times_usual = statistics.median(_plain_seconds() for _ in range(5)) / USUAL_PLAIN_SECONDS
        content = WORST[name](size_bytes)
        if child := os.fork():
            if os.waitpid(child, 0)[1]:
                _tell(name, MAX_SECONDS * 9, MAX_MEGABYTES * 9, "killed")
            continue
        used = int(time.process_time()) + int(MAX_SECONDS * 2 * times_usual) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used, used))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEGABYTES << 22, MAX_MEGABYTES << 22))
        _tell(name, *_measured(content, times_usual))
        os._exit(0)


def _plain_seconds() -> float:
    began = time.process_time()
    deque(csv.DictReader(io.StringIO(PLAIN)), maxlen=0)
    return time.process_time() - began


def _tell(*values: object) -> None:
    os.write(1, f"{json.dumps(values)}\n".encode())


def _measured(content: bytes, times_usual: float) -> tuple[float, float, str]:
    video = video_of("a.mp4")
    clips = [clip_record(video, index) for index in range(NUM_CLIPS if len(content) > 1 << 20 else NUM_CLIPS_IF_SMALL)]
    files = [AnnotationFile("bad.csv", content), AnnotationFile("z.csv", f"{CLIPS}a.mp4,put,meat\n".encode())]
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    began = time.process_time()
    labelling = label_clips(clips, {video: ("a.mp4",)}, files, LabelOptions(nothing_share=1), OwnClasses(), {video: 30.0})
    seconds = (time.process_time() - began) / times_usual
    assert labelling.num_labelled == len(clips)
    return (
        seconds,
        (_kilobytes("VmHWM") - before) / 1000 + len(content) / 1e6,
        labelling.problems[-1].reason[:80] if labelling.problems else "",
    )


def _kilobytes(name: str) -> int:
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))


if __name__ == "__main__":
    main()
