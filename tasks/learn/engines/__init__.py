"""Implement inference engines for CPUs and GPUs, and their parity check."""
