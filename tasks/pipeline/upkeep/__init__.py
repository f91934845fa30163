"""Keep a store for years: back it up, and restore it."""
