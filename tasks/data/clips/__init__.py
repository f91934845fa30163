"""Move files into the store and clips out of it. Intake, annotation files, cutting, optical flow and decoded frames.

`sources` lists the files of an ingest, `intake` takes them in: two are one video if their bytes are equal. `cutting` makes clips,
`labelled` gathers their labels. Of a video to forget, `survey` collects names and runs; `forgetting` says which objects go, and deletes them.
"""
