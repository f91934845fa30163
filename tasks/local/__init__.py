"""Run object store, MLflow and Airflow as local processes: `make run`.

The sample videos go through them. `__main__` has the commands, `run` the chain, `container_stack` finds the servers of `make up`, `servers` says how
each server is run, `supervise` starts and stops them.

`tests/films` draws the videos of `samples/` and `long_video/`.

Other rooms import `choices`, for the button of the page *Retake* that runs the samples.
"""
