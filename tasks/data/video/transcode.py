"""Convert videos to the pictures and sound of clips by ffmpeg: its filters, its encoders, and its run."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import ffmpeg as arguments_of
from ffmpeg.nodes import FilterableStream

from tasks.data.video.ffmpeg import Log, run_ffmpeg
from tasks.data.video.inspection import VideoProbe
from tasks.data.video.memory import Memory
from tasks.data.video.source import FORMATS, MAX_PIXELS, PROTOCOLS, url
from tasks.errors import BadVideo, OutOfMemory
from tasks.options import SegmentOptions

NUM_ENCODER_THREADS = 2
"""Fixed, because x264's output depends on it. The decoder has one thread, because with more its output on damaged data varies."""

PRESET = "veryfast"

SECONDS_PER_VIDEO_SECOND = 10

SAMPLE_RATE = 48_000

ENOUGH_BYTES, ENOUGH_BYTES_PER_PIXEL = 192 << 20, 96
"""Memory that is enough for any video.

For threads, 120 MB on 16 cores, and for the 16 pictures of 6 bytes per pixel that H.264 and HEVC keep.
"""

AAC_DELAY_SAMPLES = 1024

TONE_MAPPING = (
    ("zscale", {"transfer": "linear", "npl": 203}),
    ("format", {"pix_fmts": "gbrpf32le"}),
    ("tonemap", {"tonemap": "mobius"}),
    ("zscale", {"primaries": "bt709", "transfer": "bt709", "matrix": "170m", "range": "limited"}),
)
"""PQ or HLG to SDR; reference white is 203 cd/m2 (ITU-R BT.2408)."""

SCALER = "bicubic+accurate_rnd+full_chroma_int+bitexact"


def time_limit(decoded_seconds: float) -> float:
    """Return how many seconds ffmpeg may take to decode so many; at least two minutes."""
    return max(120, SECONDS_PER_VIDEO_SECOND * decoded_seconds)


def clip_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return the even width and height of a clip, scaled down to `short_side`, never up."""
    scale = min(1.0, short_side / min(width, height))
    return int(width * scale / 2 + 1e-6) * 2, int(height * scale / 2 + 1e-6) * 2


def input_of(path: Path, **seek: float | None) -> FilterableStream:
    """Open a video with the limits that hold for files of strangers."""
    return arguments_of.input(
        url(path), protocol_whitelist=PROTOCOLS, format_whitelist=",".join(FORMATS), max_pixels=MAX_PIXELS, threads=1, **seek
    )


def picture(video: FilterableStream, source: VideoProbe, options: SegmentOptions) -> FilterableStream:
    """Scale the pictures, convert their colours, and resample them to a constant rate from time zero."""
    width, height = clip_size(source.width, source.height, options.short_side)
    matrix = {} if source.is_hdr else {"out_color_matrix": "bt601", "out_range": "tv"}
    video = video.filter("scale", width, height, flags=SCALER, **matrix)
    for name, settings in TONE_MAPPING if source.is_hdr else ():
        video = video.filter(name, **settings)
    video = video.filter("format", pix_fmts="yuv420p").filter("setparams", range="tv", colorspace="smpte170m").filter("setsar", 1)
    # The fps filter comes last, and colour tags are set by a filter instead of an output option: fps fills a time gap with references to
    # one picture, and a conversion after it would copy each of them in memory.
    return video.filter("fps", fps=options.fps, start_time=0)


def encoding(options: SegmentOptions, *, has_audio: bool) -> dict[str, str | int | None]:
    """Return ffmpeg's options for pictures, sound and metadata of a clip."""
    sound: dict[str, str | int | None] = {}
    if has_audio:
        sound = {"c:a": "aac", "b:a": "128k", "ac": 2, "ar": SAMPLE_RATE, "flags:a": "+bitexact", "shortest": None}
    return {
        "c:v": "libx264",
        "threads:v": NUM_ENCODER_THREADS,
        "flags:v": "+bitexact",
        "preset": PRESET,
        "crf": options.crf,
        "bf": 0,
        "g": options.gop_frames,
        "keyint_min": options.gop_frames,
        "sc_threshold": 0,
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "max_error_rate": 1,
        **sound,
    }


def convert(
    path: Path,
    folder: Path,
    source: VideoProbe,
    arguments: Callable[[int | None], list[str]],
    ffmpeg: Path,
    time_limit_seconds: float,
    memory: Memory,
) -> tuple[list[str], Log]:
    """Run ffmpeg with the arguments for the index of its sound, and again without sound if it fails with it."""
    stop = monotonic() + time_limit_seconds

    def run(audio_index: int | None) -> Log:
        return run_ffmpeg(
            arguments(audio_index), ffmpeg=ffmpeg, folder=folder, time_limit_seconds=stop - monotonic(), memory=memory, name=path.name
        )

    try:
        log = run(source.audio_index)
    except BadVideo as error:
        if memory.is_scarce and isinstance(error, OutOfMemory):
            raise
        if source.audio_index is None or monotonic() >= stop:
            raise
        for clip in folder.iterdir():
            clip.unlink()
        return [f"{path.name}: its sound does not decode and is left out"], run(None)
    num_silent = log.num_decode_errors.get(source.audio_index, 0) if source.audio_index is not None else 0
    return [f"{path.name}: {num_silent} packets of its sound do not decode and are silent"] if num_silent else [], log
