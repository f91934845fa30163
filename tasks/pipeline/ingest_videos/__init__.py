"""Take videos into the store and cut them into clips."""
