"""Access MLflow's model registry: versions, their cards and tags, and the aliases `challenger` and `champion`."""

import logging
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import mlflow
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import RestException

from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.settings import MlflowSettings
from tasks.store.run_layout import run_holding
from tasks.tracking.flavours import VideoModel
from tasks.tracking.runs import RUN_KEY_TAG, answering, connect

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.entities import PagedList

log = logging.getLogger("retake")
T = TypeVar("T")
CHECKPOINT_TAG = "retake.checkpoint_uri"
CHECKPOINT_HASH_TAG = "retake.checkpoint_sha256"
STORE_TAG = "retake.store"
PROVISIONAL_TAG = "retake.provisional"
FORGOTTEN_TAG = "retake.saw_forgotten"
"""Of a version that was trained on data that was forgotten since."""
TRAINED_BY_TAG = "retake.trained_by"
"""Of a version whose training `clean_up` removed: the key of that run."""
CHALLENGER = "challenger"
CHAMPION = "champion"
MAX_DESCRIPTION = 5000
"""MLflow's limit for a version's description, in characters."""
REST_ELSEWHERE = "\n\nThe rest is in `README.md` among the artifacts of the source run."


@dataclass(frozen=True)
class Reference:
    """A parsed `models:/NAME@ALIAS`, with an empty version, or `models:/NAME/VERSION`."""

    name: str
    alias: str
    version: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Parse `text`, which the options' pattern has validated."""
        name, _, alias = text.removeprefix("models:/").partition("@")
        name, _, version = name.partition("/")
        return cls(name, alias, version)


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version and its checkpoint; a `provisional` champion has not passed the gate."""

    version: int
    run_id: str
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str
    provisional: bool = False


@dataclass(frozen=True)
class VersionCard:
    """The description, metadata and tags of a version, besides the tags that `Registry` sets."""

    description: str
    checkpoint_uri: str
    checkpoint_sha256: str
    requirements: tuple[str, ...]
    metadata: dict[str, Any]
    tags: dict[str, str]


class Registry:
    """The registered models of a server; every method raises `Unavailable` when it does not answer."""

    def __init__(self, settings: MlflowSettings) -> None:
        self._client = connect(settings)

    def claim(self, model_name: str, store_uri: str) -> None:
        """Claim the decisions on an existing model for this store; `register` claims a new model's.

        Raises:
            BadConfiguration: another store keeps them.
        """
        store_of_model = self.store_of(model_name)
        if store_of_model is None:
            with answering():
                if self._exists(model_name):
                    self._client.set_registered_model_tag(model_name, STORE_TAG, store_uri)
        elif store_of_model != store_uri:
            raise BadConfiguration(
                f"the decisions on the registered model {model_name} are kept in {store_of_model}, not in {store_uri}; choose another model_name, "
                f"or change the model's tag {STORE_TAG} in MLflow"
            )

    def store_of(self, model_name: str) -> str | None:
        """Find the store that keeps the decisions on a model, if one has claimed them."""
        with answering():
            models = self._client.search_registered_models(filter_string=f"name = '{model_name}'", max_results=1)
        return models[0].tags.get(STORE_TAG) if models else None

    def champion(self, model_name: str) -> RegisteredVersion | None:
        """Find the version that the alias `champion` points to, if any.

        Raises:
            BadConfiguration: it was registered by hand, without the checkpoint for evaluating it again.
        """
        with answering():
            if not self._exists(model_name):
                return None
            try:
                version = self._client.get_model_version_by_alias(model_name, CHAMPION)
            except RestException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        if not _can_be_scored(version):
            raise BadConfiguration(
                f"{model_name} version {version.version} is champion, but Retake did not register it and cannot evaluate it; "
                f"remove the alias {CHAMPION}, or set its tags {CHECKPOINT_TAG} and {CHECKPOINT_HASH_TAG}"
            )
        return _registered(version)

    def previous(self, model_name: str, run_key: str) -> RegisteredVersion | None:
        """Find Retake's latest version before that of `run_key`, or of all if it has none."""
        with answering():
            known = list(filter(_can_be_scored, self._client.search_model_versions(f"name = '{model_name}'")))
        versions = sorted(map(_registered, known), key=attrgetter("version"), reverse=True)
        own = next((version.version for version in versions if version.run_key == run_key), math.inf)
        return next((version for version in versions if version.version < own and version.run_key != run_key), None)

    def version(self, model_name: str, number: int) -> RegisteredVersion:
        """Find a version that Retake registered.

        Raises:
            BadInput: there is no such version, or Retake did not register it.
        """
        with answering():
            try:
                version = self._client.get_model_version(model_name, str(number))
            except RestException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    raise BadInput(f"{model_name} has no version {number}; MLflow's page of the model lists them") from None
                raise
        if not _can_be_scored(version):
            raise BadInput(
                f"{model_name} version {number} was not registered by Retake, or clean_up removed its training, so its checkpoint is unknown"
            )
        return _registered(version)

    def resolve(self, reference: str) -> tuple[str, RegisteredVersion]:
        """Resolve `models:/NAME@ALIAS` or `models:/NAME/VERSION` to name and version.

        Raises:
            BadInput: there is no such model, version or alias (the message lists those that exist), or Retake did not register it.
        """
        parsed = Reference.parse(reference)
        name = parsed.name
        with answering():
            if not self._exists(name):
                known = ", ".join(model.name for model in self._client.search_registered_models(max_results=20)) or "none"
                raise BadInput(f"{reference}: there is no registered model {name}; MLflow has: {known}")
            aliases: dict[str, str] = {key: str(value) for key, value in self._client.get_registered_model(name).aliases.items()}
            numbers = sorted(int(version.version) for version in self._client.search_model_versions(f"name = '{name}'"))
        wanted = aliases.get(parsed.alias) if parsed.alias else parsed.version
        if wanted is None or int(wanted) not in numbers:
            versions = ", ".join(map(str, numbers)) or "none"
            pointing = ", ".join(f"{key} ({value})" for key, value in sorted(aliases.items())) or "none"
            untried = (
                f"; no version is champion yet, models:/{name}@{CHALLENGER} is the latest"
                if parsed.alias == CHAMPION and CHALLENGER in aliases
                else ""
            )
            raise BadInput(f"{reference} does not exist; {name} has the versions {versions} and the aliases {pointing}{untried}")
        return name, self.version(name, int(wanted))

    def aliased_run_keys(self) -> frozenset[str]:
        """Find the run keys of all versions, of any model, that an alias points to."""
        with answering():
            models = _all_pages(self._client.search_registered_models)
            versions = [
                self._client.get_model_version(model.name, str(number)) for model in models for number in set(model.aliases.values())
            ]
        known = [_registered(version) for version in versions if _can_be_scored(version)]
        runs = [run_holding(version.checkpoint_uri) for version in known]
        return frozenset((*(version.run_key for version in known), *(run.key for run in runs if run)))

    def let_go(self, folder_uris: Collection[str]) -> None:
        """Forget the checkpoints in folders that are about to be deleted.

        Their versions are no longer evaluated, and the same training is registered anew. MLflow keeps its own copy of each model.
        """
        with answering():
            for version in self._versions():
                run = run_holding(version.tags.get(CHECKPOINT_TAG, ""))
                if run and run.folder_uri in folder_uris:
                    trained_by = _trained_by(version) or run.key
                    self._client.set_model_version_tag(version.name, version.version, TRAINED_BY_TAG, trained_by)
                    for tag in (RUN_KEY_TAG, CHECKPOINT_TAG, CHECKPOINT_HASH_TAG):
                        self._client.delete_model_version_tag(version.name, version.version, tag)

    def _versions(self) -> list["ModelVersion"]:
        return _all_pages(self._client.search_model_versions)

    def register(self, model_name: str, store_uri: str, run_id: str, run_key: str, model: VideoModel, card: VersionCard) -> int:
        """Register the run's model, or find an earlier try's version by its key.

        `store_uri` is the store that keeps the decisions on a new model.

        Raises:
            BadConfiguration: another store keeps the decisions on the model.
        """
        with answering():
            earlier = self._version_of(model_name, run_key)
            if earlier is not None:
                return earlier
            self._ensure_model(model_name, store_uri)
            self.claim(model_name, store_uri)  # another store may have made the model since the plan
            logged = self._logged_model(run_id)
            if logged is None:
                log.info("logging the model to MLflow%s", ", with a tensor module that is tried on an example" if model.tensors else "")
                with mlflow.start_run(run_id=run_id):
                    model.log(card.requirements, card.metadata)
                logged = self._logged_model(run_id)
            if logged is None:
                raise Unavailable(f"MLflow does not have the model that was logged to run {run_id}; try again")
            log.info("creating the version of %s", model_name)
            made = self._client.create_model_version(
                model_name,
                source=logged.model_uri,
                run_id=run_id,
                model_id=logged.model_id,
                tags={
                    # Those of the step `register`; decisions, `forget` and `clean_up` add more later.
                    **card.tags,
                    RUN_KEY_TAG: run_key,
                    CHECKPOINT_TAG: card.checkpoint_uri,
                    CHECKPOINT_HASH_TAG: card.checkpoint_sha256,
                },
                description=cut_to_fit(card.description),
            )
        return int(made.version)

    def set_alias(self, model_name: str, alias: str, version: int) -> None:
        """Point an alias of the registered model to a version."""
        with answering():
            self._client.set_registered_model_alias(model_name, alias, str(version))

    def describe(self, model_name: str, version: int, description: str) -> None:
        """Replace a version's description."""
        with answering():
            self._client.update_model_version(model_name, str(version), cut_to_fit(description))

    def set_tags(self, model_name: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        with answering():
            for key, value in tags.items():
                self._client.set_model_version_tag(model_name, str(version), key, value)

    def trained_by(self, run_keys: Collection[str]) -> list[tuple[str, int]]:
        """List name and number of all versions that these runs trained."""
        with answering():
            return sorted((version.name, int(version.version)) for version in self._versions() if _trained_by(version) in run_keys)

    def remove_texts(self, names_video: Callable[[str], bool]) -> None:
        """Delete the tags of versions, and the lines of their descriptions, that name a video."""
        with answering():
            for version in self._versions():
                for key in [key for key, text in version.tags.items() if names_video(text)]:
                    self._client.delete_model_version_tag(version.name, version.version, key)
                lines = (version.description or "").splitlines(keepends=True)
                if len(kept := [line for line in lines if not names_video(line)]) < len(lines):
                    self._client.update_model_version(version.name, version.version, "".join(kept))

    def aliases(self, model_name: str, version: int) -> tuple[str, ...]:
        """List the aliases that point to a version."""
        with answering():
            return tuple(sorted(self._client.get_model_version(model_name, str(version)).aliases))

    def _exists(self, model_name: str) -> bool:
        """Check whether the model exists, by a search.

        With passwords, a get fails alike for missing and for forbidden models.
        """
        return bool(self._client.search_registered_models(filter_string=f"name = '{model_name}'", max_results=1))

    def _ensure_model(self, model_name: str, store_uri: str) -> None:
        if self._exists(model_name):
            return
        try:
            self._client.create_registered_model(model_name, tags={STORE_TAG: store_uri})
        except RestException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, model_name: str, run_key: str) -> int | None:
        versions: list[ModelVersion] = self._client.search_model_versions(
            f"name = '{model_name}' and tags.`{RUN_KEY_TAG}` = '{run_key}'", max_results=1
        )
        return int(versions[0].version) if versions else None

    def _logged_model(self, run_id: str) -> "LoggedModel | None":
        """Find the run's completely logged model, from this or an interrupted try."""
        experiment_id = self._client.get_run(run_id).info.experiment_id
        models = self._client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        return next((model for model in models if model.status == LoggedModelStatus.READY), None)


def _all_pages(search: Callable[..., "PagedList[T]"]) -> list[T]:
    # Not filtered by name: anybody's may hold quotes, which MLflow's filters cannot.
    page = search()
    listed = list(page)
    while page.token:
        page = search(page_token=page.token)
        listed += page
    return listed


def cut_to_fit(description: str) -> str:
    """Cut a description that is too long for MLflow after a whole paragraph or table."""
    if len(description) <= MAX_DESCRIPTION:
        return description
    fitting = description[: MAX_DESCRIPTION - len(REST_ELSEWHERE)]
    return re.sub(r"\n+#+ [^\n]*\Z", "", fitting.rpartition("\n\n")[0] or fitting) + REST_ELSEWHERE


def _can_be_scored(version: "ModelVersion") -> bool:
    return {CHECKPOINT_TAG, CHECKPOINT_HASH_TAG} <= version.tags.keys()


def _trained_by(version: "ModelVersion") -> str | None:
    run_key: str | None = version.tags.get(RUN_KEY_TAG) or version.tags.get(TRAINED_BY_TAG)
    return run_key


def _registered(version: "ModelVersion") -> RegisteredVersion:
    tags = version.tags
    return RegisteredVersion(
        version=int(version.version),
        run_id=version.run_id or "",
        run_key=tags.get(RUN_KEY_TAG, ""),
        checkpoint_uri=tags[CHECKPOINT_TAG],
        checkpoint_sha256=tags[CHECKPOINT_HASH_TAG],
        provisional=tags.get(PROVISIONAL_TAG) == "true",
    )
