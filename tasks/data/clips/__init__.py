"""Move files into the store and clips out of it. Intake, annotation files, cutting, optical flow and decoded frames.

Of a video to forget, `forgetting` finds what shows it, and `remover` deletes that.
"""
