"""The names an application chooses: of its namespace, key prefixes and cache types."""

from __future__ import annotations

NAME_PATTERN = r"[A-Za-z0-9_.-]{1,64}"
"""Regular expression of a whole name. Excludes ``:`` and the wildcards of Redis patterns."""
