"""Define the result of cleaning up."""

from tasks.store.records.record import Record


class CleanUpResult(Record):
    """What went, or would go in a dry run: objects and bytes of the store, aborted uploads, and files of this machine's cache.

    `list_uri` is a table with the reason for each folder, and `summary` a sentence for people.
    """

    is_dry_run: bool
    num_objects: int
    size_bytes: int
    num_uploads: int
    num_cache_files: int
    cache_bytes: int
    list_uri: str
    summary: str
