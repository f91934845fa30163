"""The input of networks: frames and sound of clips, datasets of them, and cached features.

The sizes of multi-scale crops are in `networks.spec.SNIPPETS`.

From outside: `sampling`, `clip_files` and `describe_sound`, without torch; `crops`, `data`, `speech`.
"""
