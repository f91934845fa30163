"""When things run: wiring only. A DAG file names steps and passes addresses; what a step does lies in `tasks`."""
