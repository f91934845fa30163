"""Serve the pages that Airflow shows: `home/`, `label/`, `trigger_form/` and `report`; `web` has what they share.

Airflow's plugins import them at the first request.

Other rooms import `home.app`, `label.app`, `label.page_data`, `report`, `trigger_form`.
"""
