"""Implement the steps of Retake, and the packages that they use. Knows nothing of Airflow."""
