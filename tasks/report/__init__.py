"""The report of one run: a page that opens anywhere, a model card, and the contact sheets in it. Pure: bytes and numbers in, text and bytes out."""
