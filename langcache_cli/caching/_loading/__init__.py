"""How one call is answered: read, wait for a load, or load and store."""
