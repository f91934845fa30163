"""Implement the network: its parts, pretrained weights, training and inference."""
