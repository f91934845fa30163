"""Serve the pages that Airflow shows."""
