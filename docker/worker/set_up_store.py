"""Create the buckets of the stack's store, each with its own user. Safe to repeat.

In another store, buckets and users must exist; here their keys are only checked.
"""

import logging
import sys
from dataclasses import dataclass

import urllib3
from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error
from minio.minioadmin import MinioAdmin
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import BadConfiguration, RetakeError, Unavailable
from tasks.settings import load
from tasks.store.layout import Layout

log = logging.getLogger("retake")
OWN_STORE = "minio:9000"


class SetUpSettings(BaseSettings):
    """The store, its root keys, and the three buckets with their keys."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_")

    store_endpoint: str
    store_secure: bool
    store_region: str
    store_root_user: SecretStr
    store_root_password: SecretStr
    bucket: str
    mlflow_bucket: str
    logs_bucket: str
    store_steps_access_key: SecretStr
    store_steps_secret_key: SecretStr
    store_label_access_key: SecretStr
    store_label_secret_key: SecretStr
    store_mlflow_access_key: SecretStr
    store_mlflow_secret_key: SecretStr
    store_logs_access_key: SecretStr
    store_logs_secret_key: SecretStr


@dataclass(frozen=True)
class BucketUser:
    """A user with access to one bucket.

    The access is to all of the bucket, or to the part that the labelling page needs.
    """

    bucket: str
    access_key: str
    secret_key: str
    only_labels: bool = False

    @property
    def policy_name(self) -> str:
        """Return the name of the user's policy."""
        return f"labels-of-{self.bucket}" if self.only_labels else f"only-{self.bucket}"

    @property
    def policy(self) -> dict[str, object]:
        """Make the user's policy."""
        return label_policy(self.bucket) if self.only_labels else policy(self.bucket)


def policy(bucket: str) -> dict[str, object]:
    """Make the policy of a user of one bucket.

    It gives full access to the bucket's objects, and none elsewhere.
    """
    on_bucket = ["s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    on_objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": on_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
            {"Effect": "Allow", "Action": on_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        ],
    }


def label_policy(bucket: str) -> dict[str, object]:
    """Make the policy of the pages *Retake* and *Label* for one bucket.

    They read the summary, reports, lists of datasets, clips, predictions, labels, splits, plans and what a training finds doubtful, and add to the
    log of labels.
    """
    objects = Layout(f"arn:aws:s3:::{bucket}")
    evaluations = objects.run("*").evaluations("*")
    reports = (objects.run("*").decision("*").report, objects.comparison_table("*", "*"), objects.search("*").on("*").report)
    read = (
        f"{objects.clips_of('*')}*/clips.json",
        f"{objects.clips_of('*')}*.mp4",
        objects.video("*").probe.uri,
        f"{objects.predictions}*",
        *(report.page for report in reports),
        f"{objects.labels('*').folder_uri}*",
        f"{objects.annotations.folder_uri}*",
        objects.pretrained("EPIC_*_classes.csv"),
        f"{objects.own_classes('verb')}*",
        f"{objects.own_classes('noun')}*",
        objects.latest_plan.uri,
        objects.latest_dataset.uri,
        objects.dataset("*").manifest.uri,
        f"{objects.status.folder_uri}*",
        objects.split_file,
        evaluations.scores("fine-tuned", "val").uri,
        evaluations.scores("fine-tuned", "test").uri,
        f"{objects.label_log.folder_uri}*",
    )
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": [objects.store_uri]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": list(read)},
            {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"{objects.label_log.folder_uri}*"]},
        ],
    }


def main() -> int:
    """Set up, check each key, and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        _set_up(load(SetUpSettings))
    except RetakeError as error:
        log.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    return 0


def _set_up(settings: SetUpSettings) -> None:
    users = [
        BucketUser(bucket, access_key.get_secret_value(), secret_key.get_secret_value())
        for bucket, access_key, secret_key in (
            (settings.bucket, settings.store_steps_access_key, settings.store_steps_secret_key),
            (settings.mlflow_bucket, settings.store_mlflow_access_key, settings.store_mlflow_secret_key),
            (settings.logs_bucket, settings.store_logs_access_key, settings.store_logs_secret_key),
        )
    ]
    page = settings.store_label_access_key.get_secret_value(), settings.store_label_secret_key.get_secret_value()
    users.append(BucketUser(settings.bucket, *page, only_labels=True))
    try:
        if settings.store_endpoint == OWN_STORE:
            _make(settings, users)
        for user in users:
            _try_out(settings, user, others={other.bucket for other in users} - {user.bucket})
    except (S3Error, MinioAdminException) as error:
        raise BadConfiguration(
            f"the store at {settings.store_endpoint} rejects a request ({str(error)[:300]}); if it is not the stack's own, "
            "create buckets and users there, and put their keys into .env: docs/containers.md, Another store"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(f"the store at {settings.store_endpoint} does not answer ({type(error).__name__})") from None


def _make(settings: SetUpSettings, users: list[BucketUser]) -> None:
    root_user, root_password = settings.store_root_user.get_secret_value(), settings.store_root_password.get_secret_value()
    root = _client(settings, root_user, root_password)
    admin = MinioAdmin(
        endpoint=settings.store_endpoint,
        credentials=StaticProvider(root_user, root_password),
        region=settings.store_region,
        secure=settings.store_secure,
    )
    for user in users:
        if not root.bucket_exists(bucket_name=user.bucket):
            root.make_bucket(bucket_name=user.bucket)
        admin.user_add(user.access_key, user.secret_key)
        admin.policy_add(user.policy_name, policy=user.policy)
        admin.policy_set(user.policy_name, user=user.access_key)
        log.info("bucket %s has its own user%s", user.bucket, " for the labelling page" if user.only_labels else "")


def _try_out(settings: SetUpSettings, user: BucketUser, others: set[str]) -> None:
    client = _client(settings, user.access_key, user.secret_key)
    if not client.bucket_exists(bucket_name=user.bucket):
        raise BadConfiguration(f"the store at {settings.store_endpoint} has no bucket {user.bucket}; create it, or name another in .env")
    if reached := sorted(other for other in others if _reaches(client, other)):
        log.warning(
            "the user of bucket %s also has access to %s: this store does not restrict users to one bucket", user.bucket, ", ".join(reached)
        )


def _reaches(client: Minio, bucket: str) -> bool:
    try:
        return client.bucket_exists(bucket_name=bucket)
    except S3Error:
        return False


def _client(settings: SetUpSettings, access_key: str, secret_key: str) -> Minio:
    return Minio(
        endpoint=settings.store_endpoint,
        access_key=access_key,
        secret_key=secret_key,
        secure=settings.store_secure,
        region=settings.store_region,
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=30), retries=urllib3.Retry(total=6, backoff_factor=0.5)),
    )


if __name__ == "__main__":
    sys.exit(main())
