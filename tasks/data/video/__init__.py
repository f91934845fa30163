"""Probe, cut and decode videos; the only package that runs ffmpeg or PyAV.

`cut` cuts whole videos into clips of a fixed length, says which rest is long enough, and cuts parts around intervals; nothing looks for shots.
`inspection` limits the size of a frame, `options.data` the size and the length of a video. Encoder settings: `ffmpeg`. How long ffmpeg may take:
`ffmpeg.time_limit`. Memory of child processes: `child` says how much, `limited_exec` sets it.
"""
