"""Serve the pages that Airflow shows: `label/`, and `trigger_form/`; `web` has what they share.

Airflow's plugins import them at the first request.

Other rooms import `home.app`, `home.state`, `label.app`, `label.page_data`, `trigger_form`.
"""
