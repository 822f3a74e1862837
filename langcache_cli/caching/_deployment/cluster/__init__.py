"""A Redis or Valkey Cluster as one event loop sees it: which node has which key."""
