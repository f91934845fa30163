"""Serve the page *Retake*: `app` is the application, `static/` its files.

`home.html` has the places of the page; `home.js` fills each with what `boxes.js`, `history.js` or `panels.js` makes.
"""
