"""Find actions and their times in videos and camera streams, by the network of contract.json."""

import argparse
import json
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from html import escape
from importlib import import_module
from itertools import chain, groupby, islice, pairwise
from pathlib import Path
from typing import Any

import av.filter
import numpy as np

HERE = Path(__file__).resolve().parent
FORMATS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,mxf"  # those that read one file, and not any text as pictures
is_video = re.compile(r"(?i).*\.(3gp|asf|avi|flv|m2ts|m4v|mkv|mov|mp4|mpeg|mpg|mts|mxf|ogv|ts|vob|webm|wmv)").fullmatch
SCALER = "flags=bicubic+accurate_rnd+full_chroma_int+bitexact:out_color_matrix=bt601:out_range=tv"


class Video:
    """A video, address or camera, with frames numbered from its start, `fps` a second."""

    def __init__(self, source: str, fps: int) -> None:
        is_camera, is_address = source.startswith("camera:"), "://" in source
        address = source.replace("camera:", "/dev/video", 1) if is_camera else source if is_address else f"file:{source}"
        options = {"rtsp_transport": "tcp"} if is_camera or is_address else {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        self.container = av.open(address, format="v4l2" if is_camera else None, options=options, timeout=30, metadata_errors="replace")
        stream = self.container.streams.best("video")
        if not isinstance(stream, av.VideoStream) or stream.codec_context.color_trc in (16, 18):  # PQ and HLG
            raise ValueError("it is in HDR; convert it to SDR" if stream else "it has no pictures; give a video")
        stream.thread_type = "AUTO"
        self.stream, self.clock, self.graph_takes = stream, stream.time_base or Fraction(1, 1000), (0, 0, "")
        self.rate, self.start = self.clock * fps, round(Fraction(self.container.start_time or 0, av.time_base) / self.clock)

    def number(self, pts: int) -> int:
        """Return the number of the frame nearest to a time, the later of two."""
        return (2 * (pts - self.start) * self.rate.numerator // self.rate.denominator + 1) // 2

    def decoded(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield each frame with its number; leave out damaged ones, as ffmpeg does."""
        for packet in self.container.demux(self.stream):
            with suppress(av.error.InvalidDataError):
                yield from ((self.number(frame.pts), frame) for frame in packet.decode() if frame.pts is not None)

    def picture(self, frame: av.VideoFrame, max_short_side: int) -> np.ndarray:
        """Scale a frame as Retake does, to upright RGB (h, w, 3) in square pixels."""
        if self.graph_takes != (takes := (frame.width, frame.height, frame.format.name)):
            sides = round(frame.width * (self.stream.sample_aspect_ratio or 1)), frame.height
            size = ":".join(str(int(side * min(1.0, max_short_side / min(sides)) / 2 + 1e-6) * 2) for side in sides)
            steps = {"scale": f"{size}:{SCALER}", "format": "yuv420p", "setparams": "range=tv:colorspace=smpte170m", "buffersink": None}
            self.graph, self.graph_takes, self.coloured = av.filter.Graph(), takes, av.video.reformatter.VideoReformatter().reformat
            first = self.graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=self.clock)
            self.graph.link_nodes(first, *(self.graph.add(name, settings) for name, settings in steps.items())).configure()
        self.graph.vpush(frame)
        return np.rot90(self.coloured(self.graph.vpull(), format="rgb24").to_ndarray(), round(frame.rotation / 90))


def resampled(frames: Iterable[tuple[int, Any]], total: int) -> Iterator[tuple[int, Any]]:
    """Yield for each number the last frame up to it, as ffmpeg's filter fps does."""
    until = 0
    for (first, frame), (due, following) in pairwise(chain(frames, [(total, None)])):
        number, until = until, max(until, due, first + 1 if following is None else 0)  # a stream's last frame is shown once
        yield from ((shown, frame) for shown in range(number, until))


def positions(length: int, sampling: dict[str, Any]) -> list[int]:
    """List the frames that a network sees of a window of this length."""
    kept_length = min(length, max(round(length * sampling["window_share"]), sampling["span_frames"]))
    kept = range((length - kept_length) // 2, (length + kept_length) // 2)[:: sampling["frame_stride"]]
    parts, size, views = sampling["num_segments"], sampling["frames_per_snippet"], sampling["spread"] == "views"
    last = max(0, len(kept) - size)
    starts = [i * last // max(1, parts - 1) if views else int((last + 1) / parts / 2 + (last + 1) / parts * i) for i in range(parts)]
    return [kept[min(start + i, len(kept) - 1)] for start in starts for i in range(size)]


def windows(source: str, contract: dict[str, Any], stride: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield each window's start and stop in frames, and its pictures by input."""
    cut, inputs = contract["window"], contract["inputs"]
    if other := sorted({each["kind"] for each in inputs} - {"frames"}):
        raise ValueError(f"the network takes {' and '.join(other)}, which predict.py does not make; contract.json describes it")
    length, shortest, is_file = cut["num_frames"], cut["shortest_frames"], Path(source).is_file()
    packets = (video := Video(source, cut["fps"])).container.demux(video.stream) if is_file else ()  # counted without decoding
    ends = (packet.pts + (packet.duration or 0) for packet in packets if packet.size and packet.pts is not None)
    total = video.number(max(ends, default=video.start)) if is_file else length << 40
    rest = [(total - total % length, total % length)] if total % length >= shortest else []
    coming = chain(((start, length) for start in range(0, total - length + 1, stride)), rest)
    video, ahead, current, seen, stop = Video(source, cut["fps"]), next(coming, None), list[Any](), dict[int, Any](), 0
    for number, frame in resampled(video.decoded(), total if is_file else 0):
        while ahead and ahead[0] <= number:
            wanted = {each["name"]: [ahead[0] + place for place in positions(ahead[1], each["sampling"])] for each in inputs}
            current, ahead = [*current, (ahead[0], sum(ahead), wanted)], next(coming, None)
        if any(number in numbers for *_, wanted in current for numbers in wanted.values()):
            seen[number] = video.picture(frame, cut["short_side"])  # slow, so only of frames that a window needs
        while current and current[0][1] == number + 1:
            start, stop, wanted = current.pop(0)
            yield start, stop, {name: np.stack([seen[number] for number in numbers]) for name, numbers in wanted.items()}
            seen = {number: picture for number, picture in seen.items() if current and current[0][0] <= number}
    if not stop:
        raise ValueError(f"no window of it decodes; give {(shortest if is_file else length) / cut['fps']:g} s or more that do")


def loaded(contract: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Load the model by the runtime that it was written for."""
    if (HERE / "model.onnx").is_file():
        runtime = import_module("onnxruntime")
        session = runtime.InferenceSession(HERE / "model.onnx", providers=runtime.get_available_providers())
        return lambda inputs: dict(zip(contract["outputs"], session.run(contract["outputs"], inputs), strict=True))
    model = import_module("openvino").Core().compile_model(HERE / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: dict(zip(contract["outputs"], model(inputs).values(), strict=True))


def until_failure(made: Iterator[Any], failed: list[Exception]) -> Iterator[Any]:
    """Yield items up to one that fails; add its error to `failed`."""
    try:
        yield from made
    except (ValueError, OSError, av.error.FFmpegError) as error:
        failed.append(error)


def answers(seen: Iterator[Any], contract: dict[str, Any], run: Callable[..., Any], size: int) -> Iterator[tuple[Any, ...]]:
    """Yield start, stop and probabilities of each window, answered `size` at a time."""
    while batch := list(islice(seen, size)):
        outputs = run({name: np.stack([pictures[name] for *_, pictures in batch]) for name in batch[0][2]})
        nouns = outputs.get("noun_probabilities", np.ones((len(batch), len(contract["nouns"]))))
        yield from ((*window[:2], *heads) for window, *heads in zip(batch, outputs["verb_probabilities"], nouns, strict=True))


def moments(answered: Iterable[tuple[Any, ...]], pairs: np.ndarray) -> Iterator[tuple[int, int, int, float]]:
    """Yield the stretches between edges of windows, each with its likeliest pair."""
    kept, end = list[tuple[Any, ...]](), 0
    for answer in chain(answered, [None]):
        kept, until = ([*kept, answer], answer[0]) if answer else (kept, sys.maxsize)
        for begin, end in pairwise(sorted({edge for window in kept for edge in window[:2] if end <= edge <= until})):
            over = [window for window in kept if window[0] <= begin and end <= window[1]]
            weights = [1 - abs(begin + end - start - stop) / (stop - start) for start, stop, *_ in over]  # nearer middles count more
            verbs, nouns = (np.average([window[head] for window in over], axis=0, weights=weights) for head in (2, 3))
            yield begin, end, int((likely := verbs[pairs[:, 0]] * nouns[pairs[:, 1]]).argmax()), float(likely.max())
        kept = [window for window in kept if window[1] > until]


def intervals(answered: Iterable[tuple[Any, ...]], contract: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each interval of one action once it ends, except where nothing happens."""
    verbs, nouns, threshold, fps = contract["verbs"], contract["nouns"], contract["threshold"], contract["window"]["fps"]
    pairs = np.array(contract["pairs"] or list(np.ndindex(len(verbs), len(nouns))))
    for best, run in groupby(moments(answered, pairs), key=lambda moment: moment[2]):
        begins, ends, _, likely = zip(*run, strict=True)
        probability, (verb, noun) = float(np.average(likely, weights=np.subtract(ends, begins))), pairs[best]
        names = {"start": begins[0] / fps, "stop": ends[-1] / fps, "verb": verbs[verb], "noun": nouns[noun]}
        if verb != contract["nothing"]:
            yield {**names, "probability": probability, "reported": contract["reports"] and probability >= (threshold or 0)}


def cue(interval: dict[str, Any]) -> str:
    """Write an interval as a cue of WebVTT, if it is reported."""
    start, stop = (f"{int(at // 3600):02}:{int(at // 60 % 60):02}:{at % 60:06.3f}" for at in (interval["start"], interval["stop"]))
    action = escape(f"{interval['verb']} {interval['noun']}".removesuffix(" (none)"), quote=False)
    return f"{start} --> {stop}\n{action}\n" if interval["reported"] else ""


def main() -> int:
    """Answer each source; return 1 if one of them could not be answered."""
    contract = json.loads((HERE / "contract.json").read_text(encoding="utf-8"))
    fps, length = contract["window"]["fps"], contract["window"]["num_frames"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", help="videos, folders, http or rtsp addresses, camera:0")
    parser.add_argument("--stride-seconds", type=float, default=length / fps, help="time between windows, a whole part of %(default)g")
    parser.add_argument("--format", choices=("json", "vtt"), default="json", help="a line for each interval, or WebVTT of one source")
    parser.add_argument("--check", action="store_true", help="compare this machine's answers with those of the registered model")
    options = parser.parse_args()
    stride, status = round(options.stride_seconds * fps), 0
    if options.check:
        return int(runpy.run_path(str(HERE / "check" / "check.py"))["check"](contract, loaded(contract), windows, Video))
    inside = ((source, sorted(path for path in Path(source).rglob("[!.]*") if is_video(path.name))) for source in options.sources)
    sources = [str(file) for source, files in inside for file in (filter(Path.is_file, files) if Path(source).is_dir() else [source])]
    if not sources or (options.format == "vtt" and len(sources) > 1) or stride < 1 or length % stride:
        parser.error(f"give sources, one alone for vtt, and a stride that {length} frames are a whole number of, {fps} a second")
    run = loaded(contract)
    print("WEBVTT\n\n" if options.format == "vtt" else "", end="", flush=True)
    for source in sources:
        shown, failed = re.sub("://[^/]*@", "://", source), list[Exception]()  # shown without user and password
        answered = answers(until_failure(windows(source, contract, stride), failed), contract, run, 4 if Path(source).is_file() else 1)
        for interval in intervals(until_failure(answered, failed), contract):  # the network may fail, too
            print(cue(interval) if options.format == "vtt" else json.dumps({"source": shown, **interval}), flush=True)
        for error in failed:
            status, is_silent = 1, not Path(source).is_file() and isinstance(error, av.error.ExitError | av.error.InvalidDataError)
            print(f"{shown}: {'no answer, or no video' if is_silent else getattr(error, 'strerror', error)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # `head`, for example, has enough
        sys.exit(main())
    os._exit(141)  # as SIGPIPE ends others, and without another attempt to write
