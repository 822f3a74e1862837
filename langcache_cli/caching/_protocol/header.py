"""The fixed part of a header, written down once: for `entry`, for the Lua scripts and for the memory server.

```text
lc1 entry id=8d6eb6c50cbab1c5 leased=0000000000000 created=...
^            ^               ^       ^            ^
0      ID_START         ID_END  LEASED_START  LEASED_END

lc1 lease id=8d6eb6c50cbab1c5 created=...
```

Positions are byte offsets from 0; an end is the offset of the first byte behind the field.
"""

from __future__ import annotations

from langcache_cli.caching._clock import ID_DIGITS

ENTRY = "lc1 entry id="
"""The beginning of an entry."""

LEASE = "lc1 lease id="
"""The beginning of a placeholder: a header alone, stored while a load runs and there is no value to serve."""

FAILED = "lc1 error id="
"""The beginning of a failure, see `failure`: no script reads it."""

ID_START = len(ENTRY)
ID_END = ID_START + ID_DIGITS

LEASED = " leased="
LEASED_DIGITS = 13
LEASED_START = ID_END + len(LEASED)
LEASED_END = LEASED_START + LEASED_DIGITS
"""The field ``leased`` of an entry: until when its successor is being loaded, in milliseconds since 1970.
0 says that it is not."""

LUA = f"""\
local ENTRY, LEASE, LEASED = '{ENTRY}', '{LEASE}', '{LEASED}'
local ID_START, ID_END, LEASED_END = {ID_START}, {ID_END}, {LEASED_END}
local LEASED_START, LEASED_FORMAT = {LEASED_START}, '%0{LEASED_DIGITS}.0f'
"""
"""The same table for the scripts. Lua counts from 1: ``string.sub(header, ID_START + 1, ID_END)``."""
