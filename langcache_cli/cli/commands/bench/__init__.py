"""The command ``langcache bench``."""

from __future__ import annotations

from langcache_cli.cli.commands.bench.measure import bench

__all__ = ["bench"]
