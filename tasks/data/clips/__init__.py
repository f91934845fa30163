"""Move files into the store and clips out of it.

The package has intake, annotation files, cutting, optical flow and decoded frames.

`sources` lists the files of an ingest, and `intake` takes them in: two files are one video if their bytes are equal. `cut_videos` makes
clips, and `gather_labels` gathers their labels. Of a video to forget, `forgetting` collects names and runs, says which objects go, and
deletes them.
"""
