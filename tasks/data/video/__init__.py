"""Probe, cut and decode videos; the only package that runs ffmpeg or PyAV.

`cut` cuts whole videos, and says which rest is long enough; `spans` cuts parts around intervals. Encoder settings: `ffmpeg`. Memory of child processes: `child` says how much, `limits` sets it.
"""
