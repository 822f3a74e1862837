"""The live view: frames drawn from the overview, keys, and the loop between them."""
