"""What each step takes and gives: light, so that the command line, the DAGs and the documentation can read it. A file per DAG."""
