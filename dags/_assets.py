"""What one DAG makes and the next one waits for.

An event of each carries the store and the options for the runs that follow, see `_params.Handover`.
"""

from airflow.sdk import Asset

CLIPS = Asset(name="retake_clips")
DATASET = Asset(name="retake_dataset")
MODEL = Asset(name="retake_model")
