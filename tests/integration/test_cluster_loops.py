"""A cluster from event loops that end under it."""

from tests.integration.strict_python import complaints, run_python
from tests.integration.test_event_loops import MODULE

CLOSED_WHILE_NODES_ARE_DOUBTED = """
import gc, logging
logging.getLogger("langcache_cli.caching").disabled = True  # it has a line for such a loop

async def main(turns):
    await use()
    calls = [asyncio.create_task(for_ever(item)) for item in range(20)]
    loads = get_default_cache().runtime().running_loads
    while len(loads._by_token) < 20:
        await asyncio.sleep(0)
    await asyncio.sleep(0.6)  # no node has answered for so long that another is asked about it
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)  # their leases are given back now
    for _ in range(turns):
        await asyncio.sleep(0)

for turns in range(6):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main(turns))
    loop.close()
    gc.collect()
asyncio.run(use())
gc.collect()
"""


def test_a_loop_that_is_closed_by_hand_while_a_witness_is_asked_prints_nothing(redis_cluster, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(MODULE + CLOSED_WHILE_NODES_ARE_DOUBTED)
    done = run_python(file, redis_cluster.url)
    found = [line for line in complaints(done.stderr) if is_of_ours(line)]
    assert (done.returncode, found) == (0, []), done.stderr


def is_of_ours(complaint: str) -> bool:
    """False for what Python says of a coroutine that was to begin in the turn in which its loop ended."""
    return "was destroyed" in complaint or "is closed" in complaint
