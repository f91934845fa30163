"""Widen a network's heads for new classes; existing classes keep their weights."""

import torch

from tasks.learn.network import Network


def widen_heads(network: Network, num_verbs: int, num_nouns: int, seed: int) -> Network:
    """Widen the heads to at least `num_verbs` and `num_nouns` outputs.

    Returns `network` itself if it is large enough. A class's id is its index, so rows of the classifiers (weights and biases) are copied by
    index. Additional rows are initialised as in a new network of this size and seed.
    """
    spec = network.spec
    sizes = {"num_verbs": max(num_verbs, spec.num_verbs), "num_nouns": max(num_nouns, spec.num_nouns)}
    if sizes == {"num_verbs": spec.num_verbs, "num_nouns": spec.num_nouns}:
        return network
    wider = Network(spec.model_copy(update=sizes), seed)
    known = network.state_dict()
    with torch.no_grad():
        for name, tensor in wider.state_dict().items():
            # Only the classifiers differ in size.
            (tensor[: len(known[name])] if tensor.ndim else tensor).copy_(known[name])
    return wider
