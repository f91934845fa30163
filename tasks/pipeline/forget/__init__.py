"""Forget videos: delete all that the store and MLflow have of them, and say which models saw them."""
