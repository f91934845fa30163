"""Serve the pages that Airflow shows: `home/`, `label/` and `trigger_form/`.

`web` has the parts that they share, and the reports of a store. Airflow's plugins import them at the first request.

Other rooms import `home.app`, `label.app`, `label.page_data`, `trigger_form`, `web`.
"""
