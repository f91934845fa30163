"""Run object store, MLflow and Airflow as local processes: `make run`.

The sample videos pass through them.
"""
