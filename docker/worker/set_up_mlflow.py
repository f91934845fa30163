"""Create the MLflow user of steps, which is no administrator. Safe to repeat."""

import os
import sys

import httpx

STEPS_USER = "steps"


def main() -> int:
    """Create the user or update its password, and return the exit code."""
    password = os.environ["MLFLOW_STEPS_PASSWORD"]
    with httpx.Client(base_url=os.environ["MLFLOW_URI"], auth=("admin", os.environ["MLFLOW_ADMIN_PASSWORD"]), timeout=60) as mlflow:
        users = "/api/2.0/mlflow/users"
        user = mlflow.get(f"{users}/get", params={"username": STEPS_USER})
        if user.status_code == 401:
            sys.stderr.write(
                "MLflow refuses RETAKE_MLFLOW_PASSWORD for admin; it keeps the password of its first start: docs/containers.md, Passwords\n"
            )
            return 78
        known = {"username": STEPS_USER, "password": password}
        done = mlflow.patch(f"{users}/update-password", json=known) if user.is_success else mlflow.post(f"{users}/create", json=known)
        if not done.is_success:
            sys.stderr.write(f"MLflow rejects the user {STEPS_USER}: {done.status_code} {done.text[:300]}\n")
            return 75
    return 0


if __name__ == "__main__":
    sys.exit(main())
