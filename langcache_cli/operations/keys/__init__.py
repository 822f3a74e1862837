"""What `langcache keys` looks at: the keys of the namespace, one entry, the key of a call."""
