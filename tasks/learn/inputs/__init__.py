"""The input of networks: frames and sound of clips, datasets of them, and cached features.

`sampling` chooses frames, `clip_files` reads them, `crops` makes views of them, `data` loads batches; `features` caches a frozen backbone's.
The sizes of multi-scale crops are in `networks.spec.SNIPPETS`. `sampling`, `clip_files` and `describe_sound` import no torch.
"""
