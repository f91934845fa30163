"""A real ffmpeg, and videos made with it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="session")
def make_video(ffmpeg: Path) -> MakeVideo:
    """Run ffmpeg with these arguments and the file's name behind them."""

    def make(path: Path, *arguments: str) -> Path:
        command = [str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments, f"file:{path}"]
        subprocess.run(command, check=True, capture_output=True)
        return path

    return make


@pytest.fixture(scope="session")
def counted(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20.5 s at 30 fps with sound; the grey of frame n is 20 + 7n % 200."""
    return make_video(
        tmp_path_factory.mktemp("counted") / "counted.mp4",
        *("-f", "lavfi", "-i", "nullsrc=s=96x64:r=30:d=20.5,geq=lum=20+mod(7*N\\,200):cb=128:cr=128"),
        *("-f", "lavfi", "-i", "sine=f=440:d=20.5"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "1", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )
