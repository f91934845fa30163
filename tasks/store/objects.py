"""Read and write objects by s3:// address; only this file imports `minio`."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Self, TypeVar, overload
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED
from minio.datatypes import Object as ListedObject
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.helpers import get_part_info
from minio.versioningconfig import SUSPENDED
from pydantic import BaseModel, ValidationError

from tasks.disk import full_disk, no_room
from tasks.errors import BadConfiguration, BadInput, MissingObject, Unavailable
from tasks.options.base import STORED
from tasks.settings import S3Server, SourceSettings, load
from tasks.store.stored import Stored, bucket_uri, check_key, connection_of, split_uri

M = TypeVar("M", bound=BaseModel)

CONTENT_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mp4": "video/mp4",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
}

_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchObject", "NoSuchUpload"})
_REFUSED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_NEVER = frozenset(
    {"BadRequest", "EntityTooLarge", "InvalidBucketName", "InvalidRequest", "InvalidURI", "KeyTooLongError", "XMinioInvalidObjectName"}
)
"""Error codes that no retry can change. A NUL, or two dots between backslashes, is a bad request to SeaweedFS, a bad name to MinIO."""
_FAILURES = (S3Error, urllib3.exceptions.HTTPError, InvalidResponseError, ServerError, ParseError, ValueError)
"""Exceptions of the SDK for a failed request. It raises ValueError for a bucket or a key without asking the server."""


@dataclass(frozen=True)
class _Server:
    """An S3 server, with the remedy if it does not answer, and its keys' settings."""

    client: Minio
    endpoint: str
    remedy: str
    keys: str


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing shows it."""

    uri: str
    etag: str
    size_bytes: int
    modified: str
    """By the server's clock; empty if it tells none."""

    @property
    def name(self) -> str:
        """Return the last part of the address."""
        return self.uri.rsplit("/", 1)[-1]


def to_json(record: BaseModel) -> bytes:
    """Serialise a record with sorted keys, so that equal records are equal bytes."""
    return json.dumps(record.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def etag_of(path: Path) -> str:
    """Compute the ETag after `write_file`, unless the server encrypts by keys of its own."""
    part_bytes, num_parts = get_part_info(path.stat().st_size, 0)
    with path.open("rb") as file:
        parts = [hashlib.md5(file.read(part_bytes), usedforsecurity=False) for _ in range(num_parts)]
    if num_parts == 1:
        return parts[0].hexdigest()
    whole = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    return f"{whole.hexdigest()}-{num_parts}"


class Store:
    """Reads and writes whole objects; an object appears complete or not at all.

    Every method raises `Unavailable` when the server does not answer, `BadConfiguration` when it refuses the keys, and `BadInput` for an
    address that it can never accept.
    """

    def __init__(self, server: _Server, http: urllib3.PoolManager) -> None:
        self._http = http
        self._servers: dict[str | None, _Server] = {None: server}

    @classmethod
    def from_settings(cls, settings: S3Server, read_seconds: float = 300, num_retries: int = 4, connection: str | None = None) -> Self:
        """Make a store that connects lazily, and whose quick retries bridge a server's restart."""
        http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5, read=read_seconds),
            maxsize=16,
            retries=urllib3.Retry(total=num_retries, backoff_factor=0.5, status_forcelist=[500, 502, 503, 504]),
        )
        return cls(_server_of(settings, http, connection), http)

    @classmethod
    def of_connection(cls, uri: str) -> Self:
        """Open the server of `s3+name://…` as a store, which is written at s3:// addresses.

        Raises:
            BadConfiguration: its connection is not known.
        """
        name, settings = _connection(uri)
        return cls.from_settings(settings, connection=name)

    def _server(self, uri: str) -> _Server:
        if (name := connection_of(uri)) not in self._servers:
            self._servers[name] = _server_of(_connection(uri)[1], self._http, name)
        return self._servers[name]

    def ensure_bucket(self, uri: str) -> None:
        """Make the bucket of `uri` unless it exists.

        Raises:
            BadConfiguration: it would be on another server than the store.
        """
        check_key(uri)
        with self._asking(uri) as (client, bucket, _):
            try:
                if not self.has_bucket(uri):
                    client.make_bucket(bucket_name=bucket)
            except S3Error as error:
                if error.code != "BucketAlreadyOwnedByYou":
                    raise

    def has_bucket(self, uri: str) -> bool:
        """Check whether the bucket exists."""
        with self._asking(uri) as (client, bucket, _):
            return client.bucket_exists(bucket_name=bucket)

    def buckets(self) -> tuple[str, ...]:
        """List the addresses of the buckets that the keys reach, in order."""
        with self._asking(bucket_uri("*")) as (client, *_):
            return tuple(sorted(bucket_uri(bucket.name) for bucket in client.list_buckets()))

    def exists(self, uri: str) -> bool:
        """Check whether the object exists."""
        return self.stat(uri) is not None

    def stat(self, uri: str) -> StoredObject | None:
        """Return the object as a listing would show it, or None."""
        with suppress(MissingObject), self._asking(uri) as (client, bucket, key):
            return _stored(uri, client.stat_object(bucket_name=bucket, object_name=key))
        return None

    def list(self, prefix_uri: str) -> Iterator[StoredObject]:
        """List the objects under a prefix, by key; none if there is no bucket."""
        return (_stored(uri, listed) for uri, listed in self._listed(prefix_uri, recursive=True) if not listed.is_dir)

    def folders(self, folder_uri: str) -> tuple[str, ...]:
        """List the folders directly under `folder_uri`, in order, with their final slashes."""
        return tuple(sorted(uri for uri, listed in self._listed(folder_uri, recursive=False) if listed.is_dir and uri != folder_uri))

    def _listed(self, prefix_uri: str, *, recursive: bool) -> Iterator[tuple[str, ListedObject]]:
        with suppress(MissingObject), self._asking(prefix_uri) as (client, bucket, prefix):
            root = prefix_uri.removesuffix(prefix).rstrip("/")
            for listed in client.list_objects(bucket_name=bucket, prefix=prefix, recursive=recursive):
                yield f"{root}/{listed.object_name}", listed

    def read_bytes(self, uri: str) -> bytes:
        """Read the whole object.

        Raises:
            MissingObject: there is none.
        """
        with self._asking(uri) as (client, bucket, key), client.get_object(bucket_name=bucket, object_name=key) as response:
            data: bytes = response.read()
        return data

    def write_bytes(self, uri: str, data: bytes) -> None:
        """Write the whole object, typed by its suffix."""
        check_key(uri)
        with self._asking(uri) as (client, bucket, key):
            body, kind = io.BytesIO(data), _content_type(key)
            client.put_object(bucket_name=bucket, object_name=key, data=body, length=len(data), content_type=kind)

    def create_bytes(self, uri: str, data: bytes) -> bool:
        """Write an object unless it exists, as `replace_bytes` does; return False if it does."""
        check_key(uri)
        return not self.exists(uri) and self.replace_bytes(uri, data, None)

    def replace_bytes(self, uri: str, data: bytes, earlier: StoredObject | None) -> bool:
        """Write an object in place of `earlier`, or of none.

        Return False if another writer was first, or wrote again before this one could read its object back. It is a conditional write of S3
        (`If-Match`, `If-None-Match: *`) by a signed address, because the SDK has no such argument.

        Raises:
            BadConfiguration: the server does not know conditional writes.
        """
        check_key(uri)
        condition = ("If-Match", f'"{earlier.etag}"') if earlier else ("If-None-Match", "*")
        with self._asking(uri) as (client, bucket, key):
            headers = dict([condition, ("Content-Type", _content_type(key))])
            address = client.presigned_put_object(bucket_name=bucket, object_name=key, expires=timedelta(minutes=5))
            # Sent once: a second try would find the first one's object and mistake it for another writer's.
            answer = self._http.request("PUT", address, body=data, headers=headers, retries=False)
        match answer.status:
            case HTTPStatus.OK:
                # A server that ignores the condition keeps the last of several objects: each writer checks whether it is its own.
                return self.read_bytes(uri) == data
            case HTTPStatus.PRECONDITION_FAILED | HTTPStatus.CONFLICT:
                return False
            case HTTPStatus.NOT_FOUND if earlier:  # deleted meanwhile
                return False
            case HTTPStatus.NOT_IMPLEMENTED:
                raise BadConfiguration(
                    f"the object store at {self._server(uri).endpoint} knows no conditional writes ({condition[0]}); use one that does"
                )
            case HTTPStatus.FORBIDDEN:
                raise self._refused(uri, "AccessDenied")
            case status:
                raise Unavailable(f"the object store at {self._server(uri).endpoint} answers {status} for {uri}; try again")

    def keeps_versions(self, uri: str) -> bool:
        """Check whether the bucket keeps earlier versions of its objects."""
        with self._asking(uri) as (client, bucket, _):
            try:
                return client.get_bucket_versioning(bucket_name=bucket).status in (ENABLED, SUSPENDED)
            except S3Error as error:
                if error.code != "NotImplemented":
                    raise
                return False

    def read_file(self, uri: str, path: Path) -> None:
        """Download to `path`; the file appears complete or not at all.

        Raises:
            MissingObject: there is no such object.
            OSError: the disk is full, among others.
        """
        part = path.with_name(f"{path.name}.part")  # by default its name has the ETag, which may be of any length
        try:
            with self._asking(uri) as (client, bucket, key):
                client.fget_object(bucket_name=bucket, object_name=key, file_path=str(path), tmp_file_path=str(part))
        except OSError as error:
            if full_disk(error) is None:
                raise
            part.unlink(missing_ok=True)
            listed = self.stat(uri)
            raise no_room(path, listed.size_bytes if listed else 0) from error

    def write_file(self, uri: str, path: Path) -> None:
        """Upload a file, in parts if it is large."""
        check_key(uri)
        with self._asking(uri) as (client, bucket, key):
            client.fput_object(bucket_name=bucket, object_name=key, file_path=str(path), content_type=_content_type(key))

    def delete(self, uris: Iterable[str]) -> None:
        """Delete objects, a thousand in a request; one that is not there is no error."""
        by_bucket: dict[str, list[str]] = {}
        for uri in uris:
            check_key(uri)
            by_bucket.setdefault(split_uri(uri)[0], []).append(uri)
        for bucket, own in by_bucket.items():
            with suppress(MissingObject), self._asking(own[0]) as (client, *_):
                for error in client.remove_objects(bucket, (DeleteObject(split_uri(uri)[1]) for uri in own)):
                    if error.code in _REFUSED:
                        raise self._refused(own[0], error.code)
                    if error.code not in _MISSING:
                        raise Unavailable(
                            f"the object store at {self._server(own[0]).endpoint} did not delete {error.name} ({error.code}); try again"
                        )

    def abort_uploads(self, folder_uri: str, before: datetime, *, dry_run: bool) -> tuple[str, ...]:
        """Abort uploads in parts that began `before` a time and never ended; return their addresses."""
        check_key(folder_uri)
        aborted: list[str] = []
        page, key, last_id = None, None, None
        with suppress(MissingObject), self._asking(folder_uri) as (client, bucket, prefix):
            while page is None or page.is_truncated:
                # The SDK has no public method for these two requests, and does not return the marker of the last id.
                page = client._list_multipart_uploads(bucket, prefix=prefix, key_marker=key, upload_id_marker=last_id)
                key, last_id = page.next_key_marker, page.uploads[-1].upload_id if page.uploads else None
                for upload in page.uploads:
                    if upload.upload_id and upload.initiated_time and upload.initiated_time < before:
                        aborted.append(f"{bucket_uri(bucket)}/{upload.object_name}")
                        if not dry_run:
                            with suppress(MissingObject), self._asking(aborted[-1]):  # it ended meanwhile
                                client._abort_multipart_upload(bucket, upload.object_name, upload.upload_id)
        return tuple(aborted)

    @overload
    def read(self, at: Stored[M]) -> M: ...

    @overload
    def read(self, at: str, model: type[M]) -> M: ...

    def read(self, at: Stored[M] | str, model: type[M] | None = None) -> M:
        """Read a record, at an address of the layout or of another record.

        Raises:
            MissingObject: there is none.
            BadInput: it does not fit the model, so another version wrote it.
        """
        if isinstance(at, str):
            assert model is not None  # noqa: S101 - by the overloads
            at = Stored(at, model)
        try:
            return at.model.model_validate_json(self.read_bytes(at.uri), context=STORED)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BadInput(
                f"{at.uri} is not a {at.model.__name__} ({where}: {first['msg']}); another version of Retake wrote it: delete it and run again"
            ) from None

    def write(self, at: Stored[M] | str, record: M) -> None:
        """Write a record as JSON."""
        self.write_bytes(at if isinstance(at, str) else at.uri, to_json(record))

    def create(self, at: Stored[M], record: M) -> bool:
        """Write a record unless one exists, as `create_bytes` does."""
        return self.create_bytes(at.uri, to_json(record))

    @contextmanager
    def _asking(self, uri: str) -> Iterator[tuple[Minio, str, str]]:
        """Yield client, bucket and key of an address; translate the failures of its requests."""
        client, (bucket, key) = self._server(uri).client, split_uri(uri)
        try:
            yield client, bucket, key
        except _FAILURES as error:
            server, code = self._server(uri), error.code if isinstance(error, S3Error) else None
            if code in _MISSING:
                why = "it was moved or deleted there" if connection_of(uri) else "the step that writes it has not finished"
                raise MissingObject(f"{uri} is not in the object store; {why}") from None
            if code in _REFUSED:
                raise self._refused(uri, code) from None
            if code in _NEVER:
                raise BadInput(f"the object store at {server.endpoint} can never accept {uri!r} ({code}); choose another name") from None
            if isinstance(error, ValueError) and not isinstance(error, urllib3.exceptions.HTTPError):
                raise BadInput(f"{uri!r} is not an address in the object store ({error}); write s3://bucket/key") from None
            cause = getattr(error, "reason", None) or error
            reason = f"{type(cause).__name__}: {cause}".replace("\n", " ")[:200]
            raise Unavailable(f"the object store at {server.endpoint} does not answer for {uri} ({reason}); {server.remedy}") from error

    def _refused(self, uri: str, code: str) -> BadConfiguration:
        server = self._server(uri)
        return BadConfiguration(f"the object store at {server.endpoint} refuses the keys for {uri} ({code}); check {server.keys}")


def _connection(uri: str) -> tuple[str, S3Server]:
    name, known = connection_of(uri) or "", load(SourceSettings).s3_connections
    if name not in known:
        listed = ", ".join(known) or "none"
        raise BadConfiguration(f"{uri!r}: RETAKE_S3_CONNECTIONS has no `{name}` (it has {listed}); add its endpoint and keys there")
    return name, known[name]


def _server_of(settings: S3Server, http: urllib3.PoolManager, connection: str | None) -> _Server:
    client = Minio(
        endpoint=settings.endpoint,
        access_key=settings.access_key.get_secret_value(),
        secret_key=settings.secret_key.get_secret_value(),
        secure=settings.secure,
        region=settings.region,
        http_client=http,
    )
    remedy, keys = "start it (`make run` does) or check RETAKE_STORE_ENDPOINT", "RETAKE_STORE_ACCESS_KEY and RETAKE_STORE_SECRET_KEY"
    if connection:
        where = f"of `{connection}` in RETAKE_S3_CONNECTIONS"
        remedy, keys = f"check the endpoint {where}", f"the keys {where}"
    return _Server(client, settings.endpoint, remedy, keys)


def _stored(uri: str, listed: ListedObject) -> StoredObject:
    return StoredObject(uri, (listed.etag or "").strip('"'), listed.size or 0, str(listed.last_modified or ""))


def _content_type(key: str) -> str:
    return CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")
