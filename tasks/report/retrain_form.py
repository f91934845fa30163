"""Say how to train a searched recipe with retrain, by its form or by a run's parameters."""

import json

from tasks.options import Options, RegisterOptions, TrainOptions
from tasks.results.search import SearchPlanResult, Value

FormValue = Value | list[str] | None


def form_address(airflow_url: str) -> str:
    """Return the address of retrain in Airflow.

    Airflow 3.3 fills a form from the parameters of an earlier run or from pasted JSON, but not from an address (apache/airflow#54800).
    """
    return f"{airflow_url.rstrip('/')}/dags/retrain"


def form_values(plan: SearchPlanResult, winner: TrainOptions) -> dict[str, FormValue]:
    """List the values of retrain's form that train `winner`; those that equal the defaults are left out.

    With the preset `none`, which is the default, they are the parameters of a run of retrain, too.
    """
    given: list[Options] = [winner, plan.evaluate, RegisterOptions(model_name=plan.model_name)]
    values = {name: value for one in given for name, value in one.model_dump(mode="json").items() if value != _default(type(one), name)}
    return {**({"dataset": plan.search.dataset} if plan.search.dataset else {}), **values}


def as_json(values: dict[str, FormValue]) -> str:
    """Write the values as the JSON that the form takes."""
    return json.dumps(values, indent=2, ensure_ascii=False)


def _default(model: type[Options], name: str) -> FormValue:
    default: FormValue = model().model_dump(mode="json")[name]
    return default
