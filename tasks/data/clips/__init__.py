"""Move files into the store and clips out of it.

`sources` lists the files of an ingest, and `intake` takes them in: two files are one video if their bytes are equal. `cut_videos` makes
clips, and `gather_labels` gathers their labels. `forgetting` finds and deletes the objects of a video to forget.
"""
