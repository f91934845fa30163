"""Networks and their weights.

`spec` describes a network, `network` builds it of one of `backbones` and one of `heads`; in a backbone's place, `joining` takes the
features of several networks. `pretrained` has published weights, `checkpoints` reads and writes trained ones. `backbones` says how each
normalises its input; ImageNet's numbers are in `spec`. `spec` imports no torch.
"""
