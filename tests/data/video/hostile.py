"""Damages videos on purpose: by hand where one field of a header matters, and by chance."""

import random
import re
import struct


def claiming_samples(mp4: bytes, num_samples: int) -> bytes:
    """An index of a few bytes that stands for millions of frames: equal sizes, equal durations, all in one chunk."""
    changed = bytearray(mp4)
    _put(changed, b"stsz", 4, 1, num_samples)
    _put(changed, b"stts", 4, 1, num_samples, 1)
    _put(changed, b"stsc", 12, num_samples)
    return bytes(changed)


def claiming_a_frame_of(mp4: bytes, size_bytes: int) -> bytes:
    """The first frame is said to be so large."""
    changed = bytearray(mp4)
    _put(changed, b"stsz", 12, size_bytes)
    return bytes(changed)


def blank(mp4: bytes) -> bytes:
    """Zeros in the place of all frames."""
    start, stop = mp4.index(b"mdat") + 4, mp4.index(b"moov") - 4
    return mp4[:start] + bytes(stop - start) + mp4[stop:]


def misplacing_a_fragment(mp4: bytes) -> bytes:
    """The first fragment of a fragmented file is said to lie beyond its end."""
    changed = bytearray(mp4)
    _put(changed, b"tfhd", 8, 0xFFFFFFFF)
    return bytes(changed)


def _put(mp4: bytearray, box: bytes, offset: int, *numbers: int) -> None:
    """Write numbers `offset` bytes behind the name of a box (ISO/IEC 14496-12)."""
    start = mp4.index(box) + 4 + offset
    mp4[start : start + 4 * len(numbers)] = struct.pack(f">{len(numbers)}I", *numbers)


NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x3FFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


NAME = re.compile(rb"[A-Za-z]{4}")
"""Mostly the name of a box or a chunk, before numbers."""

HEAD_BYTES = 2048


def mutated(data: bytes, number: int) -> bytes:
    """Damage a file in one to eight places; equal numbers damage it alike."""
    rng = random.Random(number)  # noqa: S311 - repeated by its number
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        start, length = _place(changed, rng), rng.choice((1, 4, 16, 256))
        match rng.randrange(7):
            case 0:
                changed[start] ^= 1 << rng.randrange(8)
            case 1 | 2:
                changed[start : start + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(NUMBERS))
            case 3:
                changed[start : start + length] = rng.randbytes(length)
            case 4:
                del changed[start : start + length]
            case 5:
                changed[start:start] = changed[start : start + length] * rng.choice((1, 100))
            case _:
                if rng.randrange(4) == 0:
                    del changed[start:]
        if not changed:
            break
    return bytes(changed)


def _place(data: bytes, rng: random.Random) -> int:
    """Pick a place, rather where the pictures are described: at both ends, and behind a name."""
    match rng.randrange(4):
        case 0:
            return rng.randrange(len(data))
        case 1:
            return rng.randrange(min(HEAD_BYTES, len(data)))
        case 2:
            return rng.randrange(max(0, len(data) - HEAD_BYTES), len(data))
        case _:
            names = [name.end() for name in NAME.finditer(data)] or [0]
            return min(len(data) - 1, rng.choice(names) + rng.randrange(32))
