"""Cut a video into clips of equal length and constant frame rate.

This takes one pass of ffmpeg.
"""

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import av
import ffmpeg as arguments_of
from ffmpeg.nodes import FilterableStream

from tasks.errors import BadVideo, OutOfMemory
from tasks.options import SegmentOptions
from tasks.video.ffmpeg import Log, run_ffmpeg
from tasks.video.inspection import VideoProbe
from tasks.video.memory import Memory
from tasks.video.source import FORMATS, MAX_PIXELS, PROTOCOLS, url

NUM_ENCODER_THREADS = 2
"""Fixed, because x264's output depends on it. The decoder has one thread, because with more its output on damaged data varies."""

MAX_OVERRUN_SECONDS = 60
"""Maximum time beyond the duration in the header. A bogus timestamp must not produce hours of still frames."""

MIN_LOSS_SECONDS = 0.5

PRESET = "veryfast"

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


@dataclass(frozen=True)
class CutClip:
    """One clip on disk, and its interval of the video."""

    path: Path
    index: int
    start_seconds: float
    stop_seconds: float
    num_frames: int
    has_audio: bool
    size_bytes: int
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class CutResult:
    """The clips of one video in order, with warnings for people.

    The duration of the dropped rest is included.
    """

    clips: tuple[CutClip, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]


def cut(
    path: Path, source: VideoProbe, folder: Path, options: SegmentOptions, *, ffmpeg: Path, time_limit_seconds: float, memory: Memory
) -> CutResult:
    """Cut the video `path`, probed as `source`, into clips in a new folder under `folder`.

    The new folder is removed on failure. Every clip except the last has exactly `clip_seconds * fps` frames. Pictures are upright, 8-bit
    4:2:0, BT.601 limited range, without B-frames, so that a clip starts at time zero and every player shows it. The same file, options and
    ffmpeg give the same bytes.

    Raises:
        BadVideo: nothing decodes, the video is shorter than `min_clip_seconds`, or cutting exceeds the time limit.
        OutOfMemory: cutting exceeds the memory limit, or ffmpeg crashes; if memory is scarce, also for any lost or damaged frame.
        Unavailable: the disk is full.
    """
    memory = memory.enough_at(ENOUGH_BYTES + ENOUGH_BYTES_PER_PIXEL * source.width * source.height)
    clips_folder = Path(tempfile.mkdtemp(prefix="clips-", dir=folder))
    try:
        return _cut(path, clips_folder, options, source, ffmpeg, time_limit_seconds, memory)
    except BaseException:
        shutil.rmtree(clips_folder)
        raise


def _cut(
    path: Path, folder: Path, options: SegmentOptions, source: VideoProbe, ffmpeg: Path, time_limit_seconds: float, memory: Memory
) -> CutResult:
    warnings, log = convert(
        path, folder, source, lambda audio_index: cut_arguments(path, source, options, audio_index), ffmpeg, time_limit_seconds, memory
    )
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem))
    clips = [examine(file, index, index * frames_per_clip(options), options) for index, file in enumerate(files)]
    if not clips:
        raise BadVideo(f"{path.name}: nothing of it decodes")
    for clip in clips:
        if clip.num_frames > frames_per_clip(options) or (clip.num_frames < frames_per_clip(options) and clip is not clips[-1]):
            raise BadVideo(f"{path.name}: clip {clip.index} came out with {clip.num_frames} frames instead of {frames_per_clip(options)}")
    total_seconds = clips[-1].stop_seconds
    warnings += _losses(path.name, source, log, total_seconds)
    dropped_seconds = 0.0
    if not is_kept(clips[-1].num_frames, options):
        rest = clips.pop()
        rest.path.unlink()
        dropped_seconds = rest.num_frames / options.fps
    if not clips:
        raise BadVideo(f"{path.name}: {total_seconds:.2f} s long, shorter than the minimum of {options.min_clip_seconds:g} s per clip")
    return CutResult(tuple(clips), dropped_seconds, tuple(warnings))


def frames_per_clip(options: SegmentOptions) -> int:
    """Return the number of frames of a full clip."""
    return round(options.clip_seconds * options.fps)


def is_kept(num_frames: int, options: SegmentOptions) -> bool:
    """Check whether a clip of `num_frames` is full, or is a long enough rest."""
    return num_frames >= min(frames_per_clip(options), round(options.min_clip_seconds * options.fps, 6))


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


def cut_arguments(path: Path, source: VideoProbe, options: SegmentOptions, audio_index: int | None) -> list[str]:
    """Build ffmpeg's argument list; it writes 0000.mp4, 0001.mp4, … into its working folder."""
    file = input_of(path)
    streams = [picture(file[str(source.video_index)], source, options)]
    if audio_index is not None:
        # Silence fills gaps and a late start. Without space for the encoder's delay before the first sample, the muxer would shift the
        # picture. Endless padding with `shortest` makes the sound end with the picture.
        audio = file[str(audio_index)].filter("aresample", SAMPLE_RATE).filter("aresample", first_pts=AAC_DELAY_SAMPLES, **{"async": 1})
        streams.append(audio.filter("apad"))
    num_frames = frames_per_clip(options)
    output = arguments_of.output(
        *streams,
        "%04d.mp4",
        **encoding(options, has_audio=audio_index is not None),
        force_key_frames=f"expr:eq(mod(n,{num_frames}),0)",
        t=source.duration_seconds + MAX_OVERRUN_SECONDS,
        f="segment",
        segment_time=num_frames / options.fps,
        segment_time_delta=1 / (2 * options.fps),
        reset_timestamps=1,
        segment_format="mp4",
        segment_format_options="movflags=+faststart",
    )
    return list(arguments_of.get_args(output))


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


def examine(file: Path, index: int, start_frame: int, options: SegmentOptions) -> CutClip:
    """Describe a clip on disk that begins at frame `start_frame` of the video."""
    num_frames, width, height, has_audio = _read_properties(file)
    with file.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return CutClip(
        path=file,
        index=index,
        start_seconds=start_frame / options.fps,
        stop_seconds=(start_frame + num_frames) / options.fps,
        num_frames=num_frames,
        has_audio=has_audio,
        size_bytes=file.stat().st_size,
        sha256=sha256,
        width=width,
        height=height,
    )


def _read_properties(file: Path) -> tuple[int, int, int, bool]:
    """Read a clip's number of frames, width, height, and whether it has sound.

    Without frames, ffmpeg writes no video stream.
    """
    with av.open(str(file)) as container:
        if not container.streams.video:
            return 0, 0, 0, False
        video = container.streams.video[0]
        num_packets = Counter(packet.stream_index for packet in container.demux() if packet.size)
        return num_packets[video.index], video.width, video.height, any(num_packets[audio.index] for audio in container.streams.audio)


def _losses(name: str, source: VideoProbe, log: Log, total_seconds: float) -> list[str]:
    header_seconds = source.duration_seconds
    num_bad = log.num_decode_errors.get(source.video_index, 0) + log.num_corrupt_frames
    losses = []
    if num_bad:
        num_packets = log.num_packets.get(source.video_index, num_bad)
        bad_seconds = header_seconds * min(1, num_bad / num_packets)
        losses.append(
            f"{name}: {num_bad} of {num_packets} frames are damaged: about {bad_seconds:.1f} of {header_seconds:.1f} s are frozen or blurred"
        )
    if header_seconds - total_seconds > MIN_LOSS_SECONDS:
        losses.append(f"{name}: {header_seconds - total_seconds:.1f} s are missing at the end; the header says {header_seconds:.1f} s")
    if total_seconds - header_seconds > MAX_OVERRUN_SECONDS - 1:
        losses.append(f"{name}: far longer than the {header_seconds:.1f} s in its header; the rest is left out")
    return losses
