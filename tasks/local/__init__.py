"""The embedded default behind `make run`: object store, MLflow and Airflow as local processes, and sample videos."""
