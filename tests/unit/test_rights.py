"""Which right an error reply lacks, in the words of each version of Redis, and the line that grants it."""

import pytest

from langcache_cli.caching import ServerReplyError
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._config.rights import COMMANDS, AclUser, setuser_line
from langcache_cli.caching._protocol.results import name_missing_rights
from langcache_cli.caching._protocol.scripts import STEPS, script

APP = AclUser("app", "shop")
CLUSTER = "+cluster|slots +cluster|nodes +cluster|myid +cluster|info"


@pytest.mark.parametrize(
    ("reply", "rights"),
    [
        ("NOPERM this user has no permissions to run the 'unlink' command or its subcommand", "+unlink"),
        ("NOPERM this user has no permissions to run the 'cluster' command or its subcommand", CLUSTER),
        ("NOPERM this user has no permissions to run the 'client' command", "+client|tracking"),
        ("NOPERM this user has no permissions to run the 'cluster|myid' command", "+cluster|myid"),
        ("NOPERM User app has no permissions to run the 'get' command", "+get"),
        (
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            "~shop:* ~shop@*",
        ),
        ("NOPERM No permissions to access a key", "~shop:* ~shop@*"),
        (
            "NOPERM this user has no permissions to access one of the channels used as arguments",
            "&+switch-master",
        ),
        ("NOPERM No permissions to access a channel", "&+switch-master"),
        (
            "EXECABORT Transaction discarded because of: NOPERM no permissions to run the 'exec' command",
            "+exec",
        ),
        (
            "ERR ACL failure in script: User app has no permissions to run the 'getrange' command",
            "+getrange",
        ),
    ],
)
def test_the_missing_right_is_granted_by_the_line_that_the_error_ends_with(reply, rights):
    error = APP.refusal(reply)
    assert error.code == "NOPERM"
    assert error.reply == reply
    assert str(error) == f"{reply}; grant it: ACL SETUSER app {rights}"


@pytest.mark.parametrize("reply", ["OOM command not allowed", "NOPERM", "NOPERM in words of another service"])
def test_an_error_that_names_no_right_stays_as_it_is(reply):
    error = APP.refusal(reply)
    assert str(error) == reply
    assert error.grant == ""


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("redis://app:pw@host", "app"),
        ("redis+cluster://app:pw@h1,h2", "app"),
        ("redis+sentinel://app:pw@h1,h2/cache?sentinel_password=x", "app"),
        ("redis://:pw@host", "default"),
        ("redis://host", "default"),
        ("redis://secret@host", "default"),  # without a password nothing is sent: it may be one
    ],
)
def test_the_user_is_the_one_that_logs_in(url, user):
    address = RedisTarget.parse(url).holding("shop").at("host", 6379)
    assert address.acl_user == AclUser(user, "shop")


@pytest.mark.parametrize("step", STEPS)
def test_a_script_that_is_refused_without_a_name_needs_the_right_of_the_line_or_those_of_all_lines(step):
    source = script(step).source
    lines = [number for number, line in enumerate(source.splitlines(), 1) if "call('" in line]
    of_lines = set()
    for number in lines:
        refused = APP.refusal(
            f"ERR Error running script (call to f_ab): @user_script:{number}: @user_script: {number}: "
            "The user executing the script can't run this command or subcommand"
        )
        name_missing_rights(source, [refused, b"value"])
        (right,) = refused.rights
        assert f"call('{right[1:].upper()}'" in source.splitlines()[number - 1]
        of_lines.add(right)
    unnamed = APP.refusal("ERR The user executing the script can't run this command or subcommand")
    name_missing_rights(source, [unnamed])
    assert set(unnamed.rights) == of_lines
    assert of_lines <= set(COMMANDS["one"])
    assert of_lines <= set(COMMANDS["cluster"])


def test_a_named_right_is_kept():
    refused = APP.refusal("ERR ACL failure in script: User app has no permissions to run the 'set' command")
    name_missing_rights(script("acquire").source, [refused])
    assert refused.rights == ("+set",)


def test_an_error_that_no_connection_made_names_no_user():
    assert ServerReplyError("NOPERM no").grant == ""


def test_the_namespace_and_the_user_are_in_the_whole_line():
    line = setuser_line("cluster", user="web", password="pw", namespace="shop")
    assert line.startswith("ACL SETUSER web on >pw resetkeys ~shop:* ~shop@* resetchannels -@all ")
