"""Removing entries, now or after a commit, and the outbox for what Redis has not confirmed."""
