"""What two networks say of clips without labels: how sure they are, where they agree, and which clips a person should label."""
