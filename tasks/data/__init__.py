"""Turn videos and labels into clips and datasets.

`video/` runs ffmpeg, `labels/` reads labels, `clips/` moves both between files and the store, and `split/` makes the dataset.

Other rooms import `clips.*`, `labels.csv_rows`, `labels.exported`, `labels.file_labels`, `labels.formats`, `labels.formats.label_studio`,
`labels.intervals`, `labels.label_clips`, `labels.ledger`, `labels.page_labels`, `labels.recordings`, `labels.video_names`, `labels.vocabulary`,
`split.folds`, `split.manifest`, `split.split`, `video.audio`, `video.child`, `video.cut`, `video.ffmpeg`, `video.flow`, `video.frames`,
`video.probe`.
"""
