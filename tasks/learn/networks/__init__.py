"""Networks and their weights.

`backbones` says how each backbone normalises its input; ImageNet's numbers are in `spec`.

From outside: `spec` and `sound_recipe`, without torch; `backbones`, `network`, `heads.Logits`, `pretrained`, `checkpoints`.
"""
