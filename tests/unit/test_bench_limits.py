"""`--fail-on`: what a limit means, and what is none."""

import pytest

from langcache_cli.operations.bench.limits import Limit, LimitError


def document(**paths: float) -> dict[str, dict[str, dict[str, float]]]:
    """A run whose paths have one latency."""
    metrics = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms", "mean_ms", "max_ms")
    return {
        "paths": {
            name: {**dict.fromkeys(metrics, value), "runs_per_second": 1000 / value}
            for name, value in paths.items()
        }
    }


@pytest.mark.parametrize(
    ("text", "exceeded"),
    [
        ("p99>+10%", ["hit", "miss"]),
        ("p99>+50%", ["miss"]),
        ("p99.9 > +150.5%", []),
        ("hit:p95>+10%", ["hit"]),
        ("hit:p95>-50%", ["hit"]),
        ("noop:p50>+10%", ["noop"]),
        ("p50>3ms", ["miss"]),
        ("miss:max>4.001ms", []),
        ("hit:mean<5ms", ["hit"]),
        ("rate<-20%", ["miss"]),
        ("miss:rate<-99%", []),
    ],
)
def test_a_limit_names_the_paths_that_exceed_it(text, exceeded):
    before = document(noop=0.1, hit=1.0, miss=2.0, gone=1.0)
    now = document(noop=10.0, hit=1.2, miss=4.0)
    sentences = [*Limit.parse(text).exceeded(now, before)]
    assert [sentence.split(":")[0] for sentence in sentences] == exceeded
    assert all(sentence.endswith(text) for sentence in sentences)


def test_a_sentence_says_what_it_is_and_was():
    (sentence,) = Limit.parse("hit:p99>+10%").exceeded(document(hit=1.2), document(hit=1.0))
    assert sentence == "hit: p99 is 1.200 ms, it was 1.000 ms (+20.0 %): hit:p99>+10%"


def test_the_path_of_a_function_has_colons():
    limit = Limit.parse("vocabulary:get_word hit:p99>1ms")
    assert (limit.path, limit.metric, limit.ms) == ("vocabulary:get_word hit", "p99", 1.0)


@pytest.mark.parametrize(
    "text", ["", "p99", "p99>10", "p99>10%", "p99>=+10%", "p98>+1%", "rate<5ms", ":p99>+1%", "p99>+1% x"]
)
def test_what_is_no_limit_says_so_with_an_example(text):
    with pytest.raises(LimitError, match=r"such as|there is no metric 'p98'"):
        Limit.parse(text)


def test_a_path_that_was_not_measured_is_named():
    for limit, baseline in (("get:p99>1ms", None), ("hit:p99>+1%", document(miss=1.0))):
        with pytest.raises(LimitError, match=limit.partition(":")[0]):
            [*Limit.parse(limit).exceeded(document(hit=1.0), baseline)]
