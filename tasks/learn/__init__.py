"""Networks: what they are, what they take, how they answer and how they are trained. The only room that imports torch.

- `networks/`: specifications, backbones, heads, weights and checkpoints.
- `inputs/`: frames and sound of clips, as networks take them; datasets of clips and cached features.
- `engines/`: answers of trained networks on CPUs and GPUs, and explanations of them.
- `training/`: from a job to the best checkpoint; trials of a search; probes.
- `gpus`, `hardware`: the machine. `gpus` does not import torch.

Each folder imports only those before it. The rest of the program imports what their docstrings name, `gpus` and `hardware`.
"""
