"""Delete what nothing needs any more, after a time."""
