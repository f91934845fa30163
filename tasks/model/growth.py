"""Wider heads for classes that a network does not know yet: what it knows stays as it is, position by position."""

import torch

from tasks.model.network import Network


def grown(network: Network, num_verbs: int, num_nouns: int, seed: int) -> Network:
    """A network with at least `num_verbs` and `num_nouns` outputs, whose known rows are those of `network`; `network` itself where it has them.

    A class's position is its id, so that its rows of each classifier, weights and biases, are copied by position. The rows behind them are
    those that a new network of this size and seed has.
    """
    spec = network.spec
    sizes = {"num_verbs": max(num_verbs, spec.num_verbs), "num_nouns": max(num_nouns, spec.num_nouns)}
    if sizes == {"num_verbs": spec.num_verbs, "num_nouns": spec.num_nouns}:
        return network
    wider = Network(spec.model_copy(update=sizes), seed)
    known = network.state_dict()
    with torch.no_grad():
        for name, tensor in wider.state_dict().items():
            # All but the classifiers is of one size in both.
            (tensor[: len(known[name])] if tensor.ndim else tensor).copy_(known[name])
    return wider
