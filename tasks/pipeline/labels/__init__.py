"""Take labels from other tools, and hand them to other tools."""
