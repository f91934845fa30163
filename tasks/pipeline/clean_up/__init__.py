"""Delete what nothing needs any more, after a time: `store.retention` says what.

Uploads that never ended go, too.
"""
