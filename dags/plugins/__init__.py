"""Hold the plugins of Airflow, which it loads from this folder."""
