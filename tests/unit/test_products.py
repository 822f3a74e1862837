"""What a server is called: Valkey gives both versions in its INFO, Redis its own only."""

import pytest

from langcache_cli.caching._statistics.report import combined, server_report
from langcache_cli.servers.probe import parse_info

REDIS = "# Server\r\nredis_version:7.2.4\r\nredis_git_sha1:00000000\r\nprocess_id:7\r\n"
VALKEY = (
    "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.3\r\n"
    "valkey_release_stage:ga\r\nredis_git_sha1:00000000\r\nprocess_id:7\r\n"
)


@pytest.mark.parametrize(
    ("info", "called"), [(REDIS, ("Redis", "7.2.4")), (VALKEY, ("Valkey", "8.1.3"))], ids=["redis", "valkey"]
)
def test_a_server_is_called_by_its_own_name_and_version(info, called):
    facts = parse_info(info)
    assert (facts.product, facts.version) == called
    report = server_report(info.encode(), database_keys=0)
    assert (report.product, report.version) == called


def test_nodes_of_both_kinds_are_called_by_both_names():
    report = combined([server_report(info.encode(), database_keys=0) for info in (VALKEY, REDIS)])
    assert (report.product, report.version) == ("Redis and Valkey", "7.2.4 and 8.1.3")
