"""What neither a contract nor the parser of the command line may import."""

HEAVY = frozenset(
    {"torch", "pytorch_lightning", "mlflow", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "minio", "urllib3", "airflow"}
)
