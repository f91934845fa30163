"""Read what earlier tasks of a run returned."""

import re
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException
from jinja2 import Environment, UndefinedError

_PULLED = re.compile(r"ti\.xcom_pull\(task_ids='([^']+)'[^()]*\)")


def result_of(task_id: str, context: Context, **chosen: Any) -> Any:  # noqa: ANN401 - as xcom_pull has them
    """Read the result of a task; `chosen` tells a mapped one.

    Raises:
        AirflowFailException: it has none.
    """
    result = context["ti"].xcom_pull(task_ids=task_id, **chosen)
    if result is None:
        raise _without_result(task_id)
    return result


class Reading(BaseOperator):
    """A task whose templates name results of earlier ones."""

    def render_template(
        self, content: object, context: Context, jinja_env: Environment | None = None, seen_oids: set[int] | None = None
    ) -> object:
        """Fill in a template.

        Raises:
            AirflowFailException: it names the result of a task that has none.
        """
        try:
            return super().render_template(content, context, jinja_env, seen_oids)
        except UndefinedError:
            for pulled in _PULLED.finditer(content) if isinstance(content, str) else ():
                if (jinja_env or self.get_template_env()).compile_expression(pulled[0])(ti=context["ti"]) is None:
                    raise _without_result(pulled[1]) from None
            raise


def _without_result(task_id: str) -> AirflowFailException:
    return AirflowFailException(f"{task_id} left no result, as a task does that was marked as success by hand; clear it, so that it runs")
