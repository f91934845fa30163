"""Delete all that store and MLflow have of videos, and mark models that saw them."""
