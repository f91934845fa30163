"""Store artifacts in S3, and serve them to clients only through MLflow.

For artifacts in S3, MLflow gives clients signed URLs of the store. In the stack such a URL fails: the store's host name is different outside
its network. MLflow signs only if the artifact repository can; this one cannot.
"""

from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

SCHEME = "proxied-s3"


class ProxiedS3ArtifactRepository(ArtifactRepository):
    """`proxied-s3://bucket/path`: like `s3://bucket/path`, without signed URLs."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._s3: Any = S3ArtifactRepository(f"s3{artifact_uri.removeprefix(SCHEME)}", tracking_uri=tracking_uri, registry_uri=registry_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Upload a file."""
        self._s3.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Upload the files of a folder."""
        self._s3.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List the artifacts under `path`."""
        listed: list[FileInfo] = self._s3.list_artifacts(path)
        return listed

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete the artifacts under `artifact_path`."""
        self._s3.delete_artifacts(artifact_path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._s3._download_file(remote_file_path, local_path)
