"""Run object store, MLflow and Airflow as local processes, and the sample videos through them: `make run`.

`__main__` has the commands, `run` the chain, `servers` and `supervise` the servers; nothing else imports this room.
"""
