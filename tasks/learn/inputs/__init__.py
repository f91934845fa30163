"""The input of networks: frames and sound of clips, datasets of them, and cached features.

The sizes of multi-scale crops are in `networks.spec.SNIPPETS`.

From outside: `sampling` and `clip_files`, without torch; `crops`, `data`, `describe_sound`.
"""
