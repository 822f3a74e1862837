"""A service behind Sentinel: where its primary is, and when it is another."""
