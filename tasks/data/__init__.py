"""Turn videos and labels into clips and datasets."""
