"""Celery tasks that call the functions of `shared_words`.

    python -m tests.integration.celery_words

sends the tasks that its standard input names, ``task item times`` a line, and writes their results.
"""

import json
import os
import sys

from celery import Celery

from langcache_cli.caching import sync
from tests.integration.shared_words import find_word, read_word

app = Celery("words", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)


@app.task(name="find")
def find(item: int) -> list[int]:
    return find_word(item)


@app.task(name="read")
def read(item: int) -> list[int]:
    return read_word.sync(item)


@app.task(name="invalidate")
def invalidate(item: int) -> int:
    return sync.invalidate_tags(f"word:{item}")


@app.task(name="process")
def process(item: int) -> int:
    return os.getpid()


if "worker" in sys.argv:
    find_word(0)  # the pool forks after the first use

if __name__ == "__main__":
    for line in sys.stdin:
        name, item, times = line.split()
        results = [app.send_task(name, [int(item)]) for _ in range(int(times))]
        sys.stdout.write(json.dumps([result.get(timeout=60) for result in results]) + "\n")
        sys.stdout.flush()
