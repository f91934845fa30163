"""Run object store, MLflow and Airflow as local processes, and the sample videos through them: `make run`."""
