"""Serve the page *Retake*: `app` is the application, `static/` its files.

`home.html` has the places of the page, and `home.js` fills each: `boxes.js` makes the five boxes, the champion's, too, `history.js` the scores
of versions, `sections.js` the rest below.
"""
