"""From clips and annotation files to a dataset: vocabulary, labels, split, manifest and pictures. Pure: no store, no torch."""
