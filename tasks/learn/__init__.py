"""Define networks, train them and answer by them.

This is the only room that imports torch.

- `networks/`: specifications, backbones, heads, weights and checkpoints.
- `inputs/`: frames and sound of clips, as networks take them; datasets of clips and cached features.
- `engines/`: answers of trained networks on CPUs and GPUs, heat maps, and graphs for other runtimes.
- `training/`: from a job to the best checkpoint; trials of a search; probes.
- `gpus`, `hardware`: the machine. `gpus` works without torch.

Each folder imports only those before it.

Other rooms import `engines.cached_features`, `engines.choice`, `engines.engine`, `engines.grad_cam`, `engines.graph`,
`engines.model_files`, `engines.pytorch`, `engines.scorer`, `gpus`, `hardware`, `inputs.crops`, `inputs.data`, `inputs.features`,
`inputs.snippets`, `inputs.sound_features`, `inputs.speech`, `networks.backbones`, `networks.checkpoints`, `networks.heads`,
`networks.network`, `networks.pretrained`, `networks.spec`, `training.costs`, `training.epochs`, `training.fit`, `training.job`,
`training.linear_probe`, `training.processes`, `training.trials`.
"""

import os

# Read when torch is loaded. Its threads else spin while they wait for each other, and take the cores from whatever else has work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
