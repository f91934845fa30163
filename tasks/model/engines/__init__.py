"""Inference engines for CPUs and GPUs behind one interface, and their parity check."""
