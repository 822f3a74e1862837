"""The near cache: entries in the memory of the process, kept coherent by ``CLIENT TRACKING``."""
