"""Draw what more labels would gain."""
