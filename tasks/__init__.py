"""What Retake does: the steps and the rooms that they are made of. Knows nothing of Airflow."""
