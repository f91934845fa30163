"""Pack a trained network as one folder that runs without Retake and proves its answers.

`predict` and `check` go into the folder as they are, and import nothing of Retake.
"""
