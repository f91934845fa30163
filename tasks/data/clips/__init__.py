"""Move files into the store and clips out of it. Intake, annotation files, cutting, optical flow and decoded frames.

Two files are one video if their bytes are equal, which `intake` checks. Of a video to forget, `forgetting` finds what shows it, and `remover` deletes that.
"""
