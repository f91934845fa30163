"""Run DAGs in sequence with `dag.test()`, and print the states of run and tasks: `python -m tests.integration.run_dags CONFS`."""

import json
import sys
from importlib import import_module


def main() -> None:
    """Read DAGs and their options as JSON from the command line, and run them."""
    states = {}
    for dag_id, conf in json.loads(sys.argv[1]).items():
        run = import_module(f"dags.{dag_id}").dag.test(run_conf=conf)
        tasks = {f"{task.task_id}[{task.map_index}]": str(task.state) for task in run.get_task_instances()}
        states[dag_id] = {"run": str(run.state), **tasks}
    sys.stdout.write(f"{json.dumps(states)}\n")


if __name__ == "__main__":
    main()
