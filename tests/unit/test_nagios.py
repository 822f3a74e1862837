"""The line for Nagios."""

from langcache_cli.cli.formats.nagios import Figure, NagiosState, nagios_line


def test_a_line_has_a_state_a_sentence_and_figures():
    figures = [Figure("hit rate", 98.7, "%", warning="80:", critical="60:"), Figure("calls", 1200, "c")]
    assert nagios_line(NagiosState.OK, "98.7 % of 1,200 calls", figures) == (
        "LANGCACHE OK - 98.7 % of 1,200 calls | 'hit rate'=98.7%;80:;60: 'calls'=1200c"
    )


def test_nothing_in_a_line_is_taken_for_what_it_is_not():
    line = nagios_line(NagiosState.UNKNOWN, "a | b\nc", [Figure("it's=x", None, "s", critical="5")])
    assert line == "LANGCACHE UNKNOWN - a / b c | 'it''s_x'=U;;5"
