"""Read and write the object store.

`objects` does so, at addresses that `layout` and the files beside it define. `layout` has the folders, `runs` the files of a run,
`experiments` those of a prediction, a comparison or a search; `records/` has the models of what lies there.

Other rooms import `derived`, `experiments`, `layout`, `objects`, `records.*`, `retention`, `runs`, `stored`.
"""
