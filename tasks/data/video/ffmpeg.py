"""Set ffmpeg's filters and encoder, run it as a limited child, and explain its errors."""

import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

import ffmpeg as arguments_of
import imageio_ffmpeg
from ffmpeg.nodes import FilterableStream

from tasks.data.video.child import Memory, child_environment, run_child
from tasks.data.video.inspection import FORMATS, MAX_PIXELS, PROTOCOLS, VideoProbe, url
from tasks.disk import shortage
from tasks.errors import BadConfiguration, BadVideo, OutOfMemory, OutOfRoom, Unavailable
from tasks.options import SegmentOptions

MAX_ALLOC_BYTES = 1 << 29
ROOM_BYTES = 1 << 30
"""A disk with so much room was not full, though a line of the log may say so: a video's tags are in it, with any text."""

BUNDLED = Path(imageio_ffmpeg.__file__).with_name("binaries")
"""Folder of the ffmpeg binary in imageio-ffmpeg's wheel."""

STATISTICS = re.compile(r"Input stream #\d+:(\d+) \(\w+\): (\d+) packets read .*?(\d+) frames decoded(?:; (\d+) decode errors)?")

KEY_FRAME = re.compile(r"\[Parsed_showinfo_\d+ @ .* pts_time:(-?[\d.]+) .* iskey:1 ")

NO_MEMORY = re.compile(r"Cannot allocate|max_alloc|malloc|Resource temporarily unavailable", re.I)

REASONS = (
    (re.compile(r"Invalid data found|Error splitting|moov atom not found|partial file", re.I), "its data is damaged"),
    (re.compile(r"Decoder not found|Unknown decoder|no decoder", re.I), "this ffmpeg has no decoder for its codec"),
    (NO_MEMORY, "it needs more memory than one video may take"),
    (re.compile(r"Picture size .* is invalid|max_pixels|Invalid pixel", re.I), "its pictures are too large"),
    (re.compile(r"not in whitelist|not on whitelist|not allowed", re.I), "it refers to other files, which is not allowed"),
    (re.compile(r"Output file .* does not contain any stream|received no packets", re.I), "nothing of it decodes"),
)

NUM_ENCODER_THREADS = 2
"""Fixed, because x264's output depends on it. The decoder has one thread, because with more its output on damaged data varies."""

LEAST_SECONDS, SECONDS_PER_VIDEO_SECOND = 120, 10
"""Time limit of ffmpeg for any video, and for each second that it decodes; the longer one holds."""

SAMPLE_RATE = 48_000

ENOUGH_BYTES, ENOUGH_BYTES_PER_PIXEL = 192 << 20, 96
"""Memory that is enough: threads take 120 MB on 16 cores, and H.264 and HEVC keep 16 pictures of 6 bytes per pixel."""

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
class Log:
    """ffmpeg's last errors, and the packets and decode errors of each input stream."""

    errors: tuple[str, ...]
    num_corrupt_frames: int
    num_packets: dict[int, int]
    num_decode_errors: dict[int, int]
    lacked_memory: bool
    """An allocation failed, perhaps for a single frame."""
    first_key_seconds: float | None
    """Time of the first key frame that the filter showinfo saw."""

    @property
    def has_losses(self) -> bool:
        """Check whether any part of a used stream is missing or damaged."""
        return self.lacked_memory or self.num_corrupt_frames > 0 or any(self.num_decode_errors.values())


def find_ffmpeg(configured: Path | None) -> Path:
    """Return the configured ffmpeg, else the one bundled with imageio-ffmpeg, else the system's.

    The bundled version is pinned, so that every machine cuts alike; the system's is for platforms without a bundled one. imageio-ffmpeg's
    own search is not used, because it puts IMAGEIO_FFMPEG_EXE before the bundled binary and the PATH after it.

    Raises:
        BadConfiguration: the configured binary does not exist, or no ffmpeg is found.
    """
    if configured is not None:
        program = shutil.which(configured)
        if program is None:
            raise BadConfiguration(f"RETAKE_FFMPEG names {configured}, which is not a program; correct it or unset it")
        return Path(program).absolute()
    if bundled := sorted(BUNDLED.glob("ffmpeg-*")):
        return bundled[0]
    if system := shutil.which("ffmpeg"):
        return Path(system)
    raise BadConfiguration("there is no ffmpeg; install one, or name it in RETAKE_FFMPEG")


@cache
def ffmpeg_version(ffmpeg: Path) -> str:
    """Return a binary's version, such as 7.0.2-static or 7.1.5-0+deb13u1.

    Raises:
        BadConfiguration: it does not start, or is not ffmpeg.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the binary is the configured one
            [ffmpeg, "-version"],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BadConfiguration(f"{ffmpeg} does not start: {error}; name another ffmpeg in RETAKE_FFMPEG") from error
    match = re.match(r"ffmpeg version (\S+)", done.stdout)
    if match is None:
        raise BadConfiguration(f"{ffmpeg} does not report a version like ffmpeg; name another ffmpeg in RETAKE_FFMPEG")
    return match[1]


def run_ffmpeg(arguments: Sequence[str], *, ffmpeg: Path, folder: Path, time_limit_seconds: float, memory: Memory, name: str) -> Log:
    """Run ffmpeg in `folder` and wait for it to end; errors begin with `name`.

    Raises:
        BadVideo: ffmpeg failed or exceeded `time_limit_seconds`.
        OutOfMemory: it ran out of memory or crashed; if memory is scarce, also for any other failure or loss.
        OutOfRoom: its log tells of a full disk, which has room.
        Unavailable: the disk is full.
    """
    options = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+verbose", "-max_alloc", str(MAX_ALLOC_BYTES))
    status, log = run_child(
        [str(ffmpeg), *options, *arguments],
        folder=folder,
        memory_bytes=memory.size_bytes,
        time_limit_seconds=time_limit_seconds,
        read=read_log,
        variables={},
    )
    if status is None:
        raise BadVideo(f"{name}: cutting took longer than {time_limit_seconds:g} s and was stopped")
    says_full = any("No space left on device" in line for line in log.errors)
    if status != 0 and says_full and (short := shortage(folder, ROOM_BYTES)):
        raise Unavailable(f"{name}: the disk under {folder} is full ({short}); make room and run this step again")
    if status < 0 or (status != 0 and log.lacked_memory):
        raise OutOfMemory(f"{name}: {reason(status, log.errors)}")
    # With room, the video says it, or others have gone meanwhile: it is tried once more, alone.
    if status != 0 and says_full:
        raise OutOfRoom(f"{name}: {reason(status, log.errors)}")
    # Short of memory, ffmpeg drops frames or fails with any error; most of its messages do not mention memory.
    if memory.is_scarce and (status != 0 or log.has_losses):
        raise OutOfMemory(f"{name}: it does not decode completely in its share of the memory")
    if status != 0:
        raise BadVideo(f"{name}: {reason(status, log.errors)}")
    return log


def read_log(lines: Iterable[str]) -> Log:
    """Parse ffmpeg's log; memory use does not grow with its length."""
    errors: deque[str] = deque(maxlen=20)
    num_corrupt_frames = 0
    num_packets, num_decode_errors = dict[int, int](), dict[int, int]()
    lacked_memory = False
    first_key_seconds: float | None = None
    for line in lines:
        lacked_memory = lacked_memory or NO_MEMORY.search(line) is not None
        if "[error]" in line or "[fatal]" in line:
            errors.append(re.sub(r"^(\[[^\]]*\] )+", "", line).strip())
        elif "corrupt decoded frame" in line:
            num_corrupt_frames += 1
        elif match := STATISTICS.search(line):
            index = int(match[1])
            # Two inputs are chapters, whose streams have the same indices.
            num_packets[index] = num_packets.get(index, 0) + int(match[2])
            num_decode_errors[index] = num_decode_errors.get(index, 0) + int(match[4] or 0)
        elif first_key_seconds is None and (match := KEY_FRAME.search(line)):
            first_key_seconds = float(match[1])
    return Log(tuple(errors), num_corrupt_frames, num_packets, num_decode_errors, lacked_memory, first_key_seconds)


def reason(status: int, errors: Sequence[str]) -> str:
    """Explain in plain words why ffmpeg failed, followed by ffmpeg's message."""
    message = errors[-1] if errors else f"exit status {status}"
    if status < 0:
        return f"ffmpeg was killed by {signal.Signals(-status).name}; the file may be damaged, or memory too small"
    plain = next((words for pattern, words in REASONS if any(pattern.search(line) for line in errors)), "ffmpeg cannot convert it")
    return f"{plain} (ffmpeg: {message[:200]})"


def time_limit(decoded_seconds: float) -> float:
    """Return how many seconds ffmpeg may take to decode so many of a video."""
    return max(LEAST_SECONDS, SECONDS_PER_VIDEO_SECOND * decoded_seconds)


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
    """Scale pictures, convert their colours, and resample them to a constant rate from zero."""
    width, height = clip_size(source.width, source.height, options.short_side)
    matrix = {} if source.is_hdr else {"out_color_matrix": "bt601", "out_range": "tv"}
    video = video.filter("scale", width, height, flags=SCALER, **matrix)
    for name, settings in TONE_MAPPING if source.is_hdr else ():
        video = video.filter(name, **settings)
    video = video.filter("format", pix_fmts="yuv420p").filter("setparams", range="tv", colorspace="smpte170m").filter("setsar", 1)
    # The fps filter comes last, and colour tags are set by a filter instead of an output option: fps fills a time gap with references to
    # one picture, and a conversion after it would copy each of them in memory.
    return video.filter("fps", fps=options.fps, start_time=0)


def sound(file: FilterableStream, index: int, first_pts: int) -> FilterableStream:
    """Resample a sound stream from the sample `first_pts` on, with silence in its gaps."""
    return file[str(index)].filter("aresample", SAMPLE_RATE).filter("aresample", first_pts=first_pts, **{"async": 1})


def encoding(options: SegmentOptions, *, has_audio: bool) -> dict[str, str | int | None]:
    """Return ffmpeg's options for pictures, sound and metadata of a clip."""
    sound: dict[str, str | int | None] = {}
    if has_audio:
        sound = {"c:a": "aac", "b:a": "128k", "ac": 2, "ar": SAMPLE_RATE, "flags:a": "+bitexact", "shortest": None}
    return {
        "c:v": "libx264",
        "threads:v": NUM_ENCODER_THREADS,
        "flags:v": "+bitexact",
        "preset": "veryfast",
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
    num_inputs: int = 1,
) -> tuple[list[str], Log]:
    """Run ffmpeg with the video's sound, and again without sound if it fails.

    `arguments` takes the index of the sound, or None. Warnings on the sound are returned, and the log.
    """
    stop = monotonic() + time_limit_seconds
    memory = memory.enough_at(num_inputs * (ENOUGH_BYTES + ENOUGH_BYTES_PER_PIXEL * source.width * source.height))

    def run(audio_index: int | None) -> Log:
        return run_ffmpeg(
            arguments(audio_index), ffmpeg=ffmpeg, folder=folder, time_limit_seconds=stop - monotonic(), memory=memory, name=path.name
        )

    try:
        log = run(source.audio_index)
    except BadVideo as error:
        # A disk that was full for a moment is not the sound's fault.
        if isinstance(error, OutOfRoom) or (memory.is_scarce and isinstance(error, OutOfMemory)):
            raise
        if source.audio_index is None or monotonic() >= stop:
            raise
        for clip in folder.iterdir():
            clip.unlink()
        return [f"{path.name}: its sound does not decode and is left out"], run(None)
    num_silent = log.num_decode_errors.get(source.audio_index, 0) if source.audio_index is not None else 0
    return [f"{path.name}: packets of its sound that do not decode and are silent: {num_silent}"] if num_silent else [], log
