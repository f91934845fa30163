"""Serve the page *Retake*: `app` is the application, `state` its data, `docs` renders Retake's documentation."""
