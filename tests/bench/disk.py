"""A folder in place of the object store, so that a step is measured without a server."""

import shutil
from pathlib import Path

from tasks.store.objects import Store


class Disk(Store):
    """Objects as files. Every address that ends in `.mp4` leads to one film, and none of them is written."""

    def __init__(self, folder: Path, film: Path) -> None:
        self._folder, self._film = folder, film

    def _path(self, uri: str) -> Path:
        if uri.endswith(".mp4"):
            return self._film
        path = self._folder / uri.removeprefix("s3://")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def exists(self, uri: str) -> bool:
        return self._path(uri).exists()

    def folders(self, folder_uri: str) -> tuple[str, ...]:
        return tuple(f"{folder_uri}{path.name}/" for path in sorted(self._path(folder_uri).glob("*/")))

    def read_bytes(self, uri: str) -> bytes:
        return self._path(uri).read_bytes()

    def read_file(self, uri: str, path: Path) -> None:
        shutil.copyfile(self._path(uri), path)

    def write_bytes(self, uri: str, data: bytes) -> None:
        self._path(uri).write_bytes(data)

    def write_file(self, uri: str, path: Path) -> None:
        shutil.copyfile(path, self._path(uri))
