"""Delete what nothing needs any more, after a time: `store.retention` says what that is. Uploads that never ended go, too."""
