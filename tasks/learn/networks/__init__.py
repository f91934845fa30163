"""Networks and their weights.

From outside: `spec` and `sound_recipe`, without torch; `backbones`, `network`, `heads.Logits`, `pretrained`, `checkpoints`.
"""
