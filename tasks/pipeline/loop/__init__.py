"""Say where the loop stands and how two datasets differ, and send word to people."""
