"""Read and write the object store by `objects`, at addresses that `layout` and the files beside it define.

`records/` has the models of what lies there.

Other rooms import `layout`, `runs`, `experiments`, `derived`, `stored`, `retention`, `objects` and `records.*`.
"""
