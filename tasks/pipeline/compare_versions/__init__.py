"""Compare two trained networks on clips that neither was trained on."""
