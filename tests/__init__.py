"""The tests of langcache, against real servers."""
