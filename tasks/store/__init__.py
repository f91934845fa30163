"""Read and write the object store.

`objects` does so at the addresses of `layout`, for folders, and `run_layout`, for the files of a training, a comparison, a prediction or a
search; `records/` has the models of the records there.

Other rooms import `derived`, `layout`, `objects`, `records.*`, `retention`, `run_layout`, `stored`.
"""
