"""Inference engines: one interface, an engine per kind of machine, and the parity check that each must pass."""
