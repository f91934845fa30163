"""Delete old objects that nothing needs any more, by `store.retention`, and dead uploads."""
