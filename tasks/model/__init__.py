"""The network: what it is made of, where its weights come from, how it is trained and asked."""
