"""Read and write the object store.

`objects` does so, at addresses that `layout` and the files beside it define. `layout` has the folders, `run_layout`
the files of a training, a comparison, a prediction or a search; `records/` has the models of what lies there.

Other rooms import `derived`, `layout`, `objects`, `records.*`, `retention`, `run_layout`, `stored`.
"""
