"""Read a step's result from the store.

Output of a container is neither unpickled nor parsed from a log.
"""

import json
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tasks.errors import BadConfiguration, MissingObject, Unavailable
from tasks.pipeline.commands import STEPS, parse
from tasks.settings import StoreSettings, load


def stored_result(step: str, flags: list[str]) -> dict[str, Any]:
    """Read the result of `step` from the place that its contract derives from its `flags`."""
    from tasks.store.objects import Store  # imported late: parsing a DAG file must not load the S3 client

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
