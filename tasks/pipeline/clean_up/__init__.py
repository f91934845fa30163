"""Delete what nothing needs any more, after a time: `store.retention` says what that is."""
