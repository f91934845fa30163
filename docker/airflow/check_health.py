"""Check the health of an Airflow component through the API.

Airflow's own commands would load all of Airflow each time.
"""

import json
import sys
import urllib.request

HEALTH = "http://airflow-api:8080/api/v2/monitor/health"


def main(component: str) -> int:
    """Return 0 if `component` is healthy; raises if the api-server does not answer."""
    with urllib.request.urlopen(HEALTH, timeout=8) as reply:
        status = json.load(reply)[component]["status"]
    sys.stdout.write(f"{component}: {status}\n")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
