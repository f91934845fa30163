"""Train networks.

A `job` is set up, `fit` runs its epochs on a `module`, which takes losses, optimizer and schedule from `recipe`.

From outside: `job`, `fit`, `epochs`, `progress`, `processes`, `linear_probe`, `cached_heads`, `trials`, `costs`.
"""
