"""Probe, cut and decode videos; the only package that runs ffmpeg or PyAV.

Encoder settings: `ffmpeg`. Memory of child processes: `child` says how much, `limits` sets it.
"""
