"""Whether a component of Airflow is well, by what Airflow itself reports of it; a check of its own would start a whole Airflow each time."""

import json
import sys
import urllib.request

HEALTH = "http://airflow-api:8080/api/v2/monitor/health"


def main(component: str) -> int:
    """0 where `component` is healthy; an api-server that does not answer ends this with an error."""
    with urllib.request.urlopen(HEALTH, timeout=8) as reply:
        status = json.load(reply)[component]["status"]
    sys.stdout.write(f"{component}: {status}\n")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
