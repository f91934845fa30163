"""Say at a shell where the loop stands, and how two datasets differ."""
