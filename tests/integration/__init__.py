"""Tests that need a server: the core, the vocabulary and the harness itself."""
