"""Name the assets that one DAG updates and the next one waits for.

Their events carry the store and the options of the runs that follow, see `_form.Handover`.
"""

from airflow.sdk import Asset

CLIPS = Asset(name="retake_clips")
DATASET = Asset(name="retake_dataset")
MODEL = Asset(name="retake_model")

PASSED_OVER = "passed_over"
"""Key of the XCom that says which events of several a run did not take."""
