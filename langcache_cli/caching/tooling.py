"""What a tool needs that operates a cache from outside, and an application does not.

The command ``langcache`` is built on these names and on those of `langcache_cli.caching`. They may change in
a minor version; an application should do without them.
"""

from langcache_cli.caching._config.env_file import IMPLICIT, EnvFileSettings, file_values, line_numbers
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._config.settings import (
    TEN_YEARS_SECONDS,
    load_settings,
    misspelt_settings,
    settings_problems,
    variables_of,
)
from langcache_cli.caching._config.tls import TlsFileError
from langcache_cli.caching._deployment.cluster.slots import SLOTS, NodeName, all_names
from langcache_cli.caching._deployment.sentinel.reply import (
    Primary,
    SentinelError,
    ask_primary,
    explain_refusal,
)
from langcache_cli.caching._errors import ConnectionLostError, NotRedisError, UndecodableEntryError
from langcache_cli.caching._front.default import default_functions, default_warmers
from langcache_cli.caching._front.functions.bodies import Answered, answered, cached_endpoint
from langcache_cli.caching._front.warm import WarmCounts, warm
from langcache_cli.caching._functions.body import Body, Unstorable
from langcache_cli.caching._functions.duration import Duration, seconds_of
from langcache_cli.caching._functions.options import ignored
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._keys.annotations import signature_of
from langcache_cli.caching._keys.framework_parameters import database_sessions
from langcache_cli.caching._keys.key_template import parameters_in as key_parameters
from langcache_cli.caching._keys.namespace import Namespace
from langcache_cli.caching._keys.selection import Selection
from langcache_cli.caching._protocol.entry import Entry, Placeholder
from langcache_cli.caching._protocol.entry import parse as parse_entry
from langcache_cli.caching._protocol.failure import parse_failure
from langcache_cli.caching._protocol.pace import Pace
from langcache_cli.caching._protocol.scanning import scan, unlink
from langcache_cli.caching._protocol.usability import problem_of, trial
from langcache_cli.caching._statistics.actor import acting_as, current_actor, without_events
from langcache_cli.caching._statistics.counter_table import COUNTERS, CounterSpec
from langcache_cli.caching._statistics.events import nothing_around
from langcache_cli.caching._statistics.fleet.event_log import LoggedEvent
from langcache_cli.caching._statistics.fleet.history import History, Steps
from langcache_cli.caching._statistics.fleet.reader import FleetReader, Unread
from langcache_cli.caching._statistics.fleet.tiers import TIERS, Tier, tier_for
from langcache_cli.caching._statistics.labels import OUTBOX, PLAIN, Label
from langcache_cli.caching._statistics.latency_buckets import (
    HISTOGRAM_ENDS_SECONDS,
    LatencyHistogram,
    latency_histogram,
)
from langcache_cli.caching._statistics.report import CacheReport, Numbers, ServerReport
from langcache_cli.caching._values.compressed_streams import BLOCK_BYTES
from langcache_cli.caching._values.compression import decompress_in_portions, first_bytes
from langcache_cli.caching._wire.connection import RedisConnection, ask
from langcache_cli.caching._wire.failures import unavailable
from langcache_cli.caching._wire.handshake import connect
from langcache_cli.caching._wire.node import Node
from langcache_cli.caching._wire.server_identity import fields_of as reply_fields

__all__ = [
    "BLOCK_BYTES",
    "COUNTERS",
    "HISTOGRAM_ENDS_SECONDS",
    "IMPLICIT",
    "OUTBOX",
    "PLAIN",
    "SLOTS",
    "TEN_YEARS_SECONDS",
    "TIERS",
    "Answered",
    "Body",
    "CacheReport",
    "ConnectionLostError",
    "CounterSpec",
    "Duration",
    "Entry",
    "EnvFileSettings",
    "FleetReader",
    "History",
    "Label",
    "LatencyHistogram",
    "LoggedEvent",
    "Namespace",
    "Node",
    "NodeName",
    "NotRedisError",
    "Numbers",
    "Pace",
    "Placeholder",
    "Primary",
    "RedisAddress",
    "RedisConnection",
    "RedisTarget",
    "Selection",
    "SentinelError",
    "ServerReport",
    "Steps",
    "Tier",
    "TlsFileError",
    "UndecodableEntryError",
    "Unread",
    "Unstorable",
    "WarmCounts",
    "Warmer",
    "acting_as",
    "all_names",
    "answered",
    "ask",
    "ask_primary",
    "cached_endpoint",
    "connect",
    "current_actor",
    "database_sessions",
    "decompress_in_portions",
    "default_functions",
    "default_warmers",
    "explain_refusal",
    "file_values",
    "first_bytes",
    "ignored",
    "key_parameters",
    "latency_histogram",
    "line_numbers",
    "load_settings",
    "misspelt_settings",
    "nothing_around",
    "parse_entry",
    "parse_failure",
    "problem_of",
    "reply_fields",
    "scan",
    "seconds_of",
    "settings_problems",
    "signature_of",
    "tier_for",
    "trial",
    "unavailable",
    "unlink",
    "variables_of",
    "warm",
    "without_events",
]
