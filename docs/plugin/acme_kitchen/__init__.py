"""Extend Retake by a label format and a backbone. The format's module never imports torch, which most steps lack."""
