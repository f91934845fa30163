"""Say what networks are worth, and whether one is promoted."""
