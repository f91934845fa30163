"""Send word to people."""
