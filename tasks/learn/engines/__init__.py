"""Inference engines for CPUs and GPUs with their parity check, and what explains their answers.

From outside: `engine`, `pytorch`, `choice`, `scorer`, `explain`, `graph`, `written`.
"""
