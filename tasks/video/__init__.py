"""Probe, cut and decode videos; the only room that runs ffmpeg or PyAV."""
