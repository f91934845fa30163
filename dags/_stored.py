"""Read a step's result from the store, never from the output of a container."""

import json
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tasks.errors import BadConfiguration, MissingObject, Unavailable
from tasks.pipeline.commands import STEPS, parse
from tasks.settings import StoreSettings, load


def stored_result(step: str, flags: list[str]) -> dict[str, Any]:
    """Read the result of `step` from the place that its contract derives from its `flags`.

    Raises:
        AirflowFailException: the step does not take these flags, the store refuses the keys, or the environment does not say where it is.
        AirflowException: the store does not answer, or there is no result.
    """
    from tasks.store.objects import Store  # here alone: parsing a DAG file must not load the S3 client

    try:
        _, arguments = parse([step, *flags])
        uri = STEPS[step].address(arguments).uri
        result = json.loads(Store.from_settings(load(StoreSettings)).read_bytes(uri))
    except BadConfiguration as error:
        raise AirflowFailException(str(error)) from None
    except Unavailable as error:
        raise AirflowException(str(error)) from None
    except (MissingObject, ValueError):
        result = None
    if not isinstance(result, dict):
        raise AirflowException(f"{step} ended well, but left no result at {uri}")
    return result
