"""The only room that runs ffmpeg or decodes: probe, cut, frames."""
