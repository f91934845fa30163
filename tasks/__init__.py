"""Implement the steps of Retake, and the packages that they use. Knows nothing of Airflow.

`settings` has every setting of the environment, also the sizes of pods; `keys` names results by options; `wording` has words for people.
"""
