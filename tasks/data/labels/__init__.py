"""Build a dataset from clips and annotation files: vocabulary, labels, split, manifest and figures. Pure functions: no store, no torch."""
