"""Load a registered model from its own files, on a machine without store and settings.

Other rooms import the names of this file, and `package.*`.
"""

import sys
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.errors import BadConfiguration
from tasks.store.records.record import KeptSegmentOptions, Record

if TYPE_CHECKING:
    from tasks.served.videos import VideoModel

CHECKPOINT = "networks.ckpt"
SERVED_FILE = "served.json"
"""Names of the two files of a registered model: its networks, and `Served`."""

DISTRIBUTIONS = {"cv2": "opencv-contrib-python-headless", "PIL": "pillow", "ffmpeg": "ffmpeg-python"}
"""Packages that are installed under another name than they are imported by."""

SERVERS = {
    "mlflow.pyfunc.scoring_server.app": ("mlflow.exceptions", "MlflowException.invalid_parameter_value"),
    "mlserver": ("mlserver.errors", "InferenceError"),
}
"""Modules that a server imports, and the error that it turns into status 400 and its message."""


class Served(Record):
    """How a registered model answers videos, as in its training.

    Temperatures were fitted with so many `crops` per frame. If it `reports`, an interval is reported if its probability is `threshold` or more,
    or any if that is None. `actions` are the pairs of verb and noun that may be answered, those of its training clips. `calibration` and
    `interval_words` say where temperatures and threshold come from.
    """

    segment: KeptSegmentOptions
    crops: Literal[1, 10]
    verb_temperature: float
    noun_temperature: float
    calibration: str
    threshold: float | None
    reports: bool
    interval_words: str
    actions: tuple[tuple[int, int], ...]


def _load_pyfunc(data_path: str) -> "VideoModel":
    """Load the model from its folder; MLflow requires this name.

    In a server, it reads no file that a request names.

    Raises:
        BadConfiguration: a package is missing that these networks need; the message names it.
    """
    folder = Path(data_path)
    # Imported here, so that an error can name a package that these need and miss.
    try:
        from tasks.learn.networks.checkpoints import load
        from tasks.served.videos import SentVideoModel, VideoModel

        saved, served = load(folder / CHECKPOINT), Served.model_validate_json((folder / SERVED_FILE).read_bytes())
        refusals = (attrgetter(name)(sys.modules[module]) for server, (module, name) in SERVERS.items() if server in sys.modules)
        refusal = next(refusals, None)
        return SentVideoModel(saved, served, refusal) if refusal else VideoModel(saved, served)
    except ModuleNotFoundError as error:
        module = (error.name or str(error)).partition(".")[0]
        if module == "tasks":
            raise
        package = DISTRIBUTIONS.get(module, module.replace("_", "-"))
        raise BadConfiguration(f"this model needs the package {package}, which is not installed here: pip install {package}") from error
