"""The counters of the whole fleet, in Redis: hashes by minute for hours, by five minutes for a day, by hour.

The keys are ``cache@stats:{P}:1m:<start>``, ``5m`` and ``1h`` (seconds since 1970). ``P`` counts from 0: each
label belongs to one of as many parts as keep the hashes small, see `field_names`. The braces keep the hashes
of a part in one slot of a cluster, and spread the parts over its nodes. The keys are outside the namespace
``cache:``, so no pattern can clear them.
"""
