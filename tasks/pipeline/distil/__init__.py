"""Train a smaller network from the answers of a trained one."""
