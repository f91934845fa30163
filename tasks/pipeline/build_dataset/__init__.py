"""Label the clips, split their videos, and write the dataset."""
