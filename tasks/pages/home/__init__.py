"""Serve the page *Retake*: `app` is the application, `static/` its files."""
