"""Read folders, annotation files and the statements of the page Label, and label clips by them. Pure functions: no store, no torch."""
