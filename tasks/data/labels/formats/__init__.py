"""Read the annotation files of other tools: one file per tool, and one table that recognises them by content."""
