"""Find the stack in containers by its `.env`, and ingest a folder into it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import BadConfiguration, BadInput
from tasks.local.airflow_api import AirflowApi, is_healthy
from tasks.local.choices import Choices, check_source, parse
from tasks.local.follow import Screen, screen_for, shown, wait_for_dags
from tasks.local.home_folder import ADMINISTRATOR, REPOSITORY
from tasks.local.run import follow_ingest
from tasks.settings import StoreSettings, load, training_pages
from tasks.store.layout import Layout
from tasks.store.objects import Store, etag_of
from tasks.store.stored import Folder, bucket_uri, names_objects
from tasks.wording import count

ENV_FILE = REPOSITORY / ".env"
STACK_STORE = "minio:9000"
"""The address of the stack's own store inside its network. On this machine it is at its published port."""


class StackSettings(BaseSettings):
    """The stack's settings in `.env`; the environment overrides the file, as in Compose."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_", env_file=ENV_FILE, env_ignore_empty=True, extra="ignore")

    bind: str = Field("127.0.0.1", description="address that the ports are published on")
    airflow_port: int = 8080
    airflow_password: SecretStr
    mlflow_port: int = 5000
    bucket: str = "retake"
    store_port: int = 9000
    store_endpoint: str = STACK_STORE
    store_secure: bool = False
    store_region: str = "us-east-1"
    store_steps_access_key: SecretStr
    store_steps_secret_key: SecretStr

    @property
    def host(self) -> str:
        """Return the host of its ports on this machine."""
        return "127.0.0.1" if self.bind in ("", "0.0.0.0") else self.bind  # noqa: S104 - compared, not listened on

    @property
    def airflow_address(self) -> str:
        """Return the address of its Airflow."""
        return f"http://{self.host}:{self.airflow_port}"

    @property
    def store_address(self) -> str:
        """Return host:port of its store."""
        return f"{self.host}:{self.store_port}" if self.store_endpoint == STACK_STORE else self.store_endpoint

    def airflow(self) -> AirflowApi:
        """Make a client of its Airflow."""
        return AirflowApi(self.airflow_address, self.airflow_password.get_secret_value())

    def store(self) -> Store:
        """Open its store, with the keys of steps."""
        return Store.from_settings(
            StoreSettings(
                endpoint=self.store_address,
                access_key=self.store_steps_access_key,
                secret_key=self.store_steps_secret_key,
                secure=self.store_secure,
                region=self.store_region,
            )
        )


def find_stack() -> StackSettings | None:
    """Find the stack: its Airflow, not one of `make run`, accepts the password."""
    if not ENV_FILE.exists():
        return None
    settings = load(StackSettings)
    if not is_healthy(settings.airflow_address):
        return None
    with settings.airflow() as api:
        try:
            api.dag_ids()
        except BadConfiguration:
            return None
    return settings


def ingest_into_stack(stack: StackSettings, videos: str, option_pairs: Sequence[str]) -> int:
    """Ingest one folder, uploaded to the store's inbox, or a pattern of a bucket.

    Raises:
        RetakeError: an option is wrong, the folder has no file, or the store or Airflow does not answer.
    """
    options = parse(option_pairs)
    source = check_source(videos)
    store_uri = bucket_uri(stack.bucket)
    screen = screen_for(sys.stdout)
    if not (in_bucket := names_objects(source)):
        folder = Path(source)
        place = Layout(store_uri).uploaded(folder.name)
        num_uploaded, num_kept = upload(stack.store(), folder, place, screen)
        screen.say(f"{count(num_kept, 'file')} in {place.folder_uri}, {num_uploaded:,} of them new")
    with stack.airflow() as api:
        wait_for_dags(api)
        code = shown(
            screen, lambda: follow_ingest(api, Choices(store=store_uri, sources=[source] if in_bucket else [], options=options), screen)
        )
    screen.say(f"Airflow  {stack.airflow_address}  user {ADMINISTRATOR}, password RETAKE_AIRFLOW_PASSWORD in {ENV_FILE}")
    screen.say(
        f"MLflow   {training_pages(f'http://{stack.host}:{stack.mlflow_port}')}  user {ADMINISTRATOR}, password RETAKE_MLFLOW_PASSWORD in {ENV_FILE}"
    )
    return code


def upload(store: Store, folder: Path, place: Folder, screen: Screen) -> tuple[int, int]:
    """Upload the files of `folder`, except those that are there unchanged.

    A file that cannot be uploaded is reported and left out. Return the numbers of uploaded files, and of all files there.
    """
    paths = ((path, any(part.startswith(".") for part in path.relative_to(folder).parts)) for path in folder.rglob("*"))
    files = sorted(path for path, is_hidden in paths if not is_hidden and (path.is_symlink() or not path.is_dir()))
    present = {listed.uri: listed.etag for listed in store.list(place.folder_uri)}
    num_uploaded = num_kept = 0
    for number, path in enumerate(files, 1):
        name = os.fsencode(path.relative_to(folder)).decode(errors="replace")
        uri = place.file(name)
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise BadInput(f"a link that leads out of {folder}; copy its target there")
            if not path.is_file():
                raise BadInput("a device, a pipe or a folder, not a regular file")
            if present.get(uri) != etag_of(path):
                store.write_file(uri, path)
                num_uploaded += 1
                screen.say(f"uploaded {number} of {len(files)}: {name}")
            num_kept += 1
        except (BadInput, OSError) as error:
            screen.say(f"left out: {name}: {error}")
    return num_uploaded, num_kept
