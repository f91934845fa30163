"""Say where a loop stands and what to do next.

STUB: the merge with the branch `status` replaces this room.

Other rooms import `advice`, `difference`, `live`, `summary`.
"""
