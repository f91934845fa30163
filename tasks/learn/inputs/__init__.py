"""Read the input of networks: frames and sound of clips, datasets of them, cached features.

`snippets` chooses frames and reads them, `crops` makes views of them, `data` loads batches; `features` caches a frozen backbone's. The sizes of
multi-scale crops are in `networks.spec.SNIPPETS`. `snippets` and `sound_features` import no torch.
"""
