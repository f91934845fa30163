"""Serve the form of a DAG filled in from an address, which Airflow's own form cannot be (apache/airflow#54800)."""
