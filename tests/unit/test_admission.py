"""How the calls of one turn of the event loop are spread over many."""

import asyncio
import itertools

import pytest

from langcache_cli.caching._admission import Admission
from tests.harness.polling import aeventually


class Turns:
    """Calls that wait for admission, and in which turn of the event loop each went on."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.went_on: list[tuple[int, str]] = []
        self.turn = 0
        self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1

    async def call(self, name: str, **options) -> None:
        await self.admission.admitted(**options)
        self.went_on.append((self.turn, name))

    def start(self, *names: str, **options) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.call(name, **options)) for name in names]

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.went_on]

    def most_in_a_turn(self) -> int:
        turns = [turn for turn, _ in self.went_on]
        return max(map(turns.count, turns))

    async def stop(self) -> None:
        self._counting.cancel()
        await asyncio.wait([self._counting])


@pytest.fixture
async def turns():
    made = []

    def make(*arguments, **options) -> Turns:
        made.append(Turns(Admission(*arguments, **options)))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


async def test_few_calls_go_on_at_once(turns):
    calls = turns(3, 3)
    for name in "ab":
        call = calls.call(name)
        with pytest.raises(StopIteration):
            call.send(None)
    assert calls.names == ["a", "b"]


async def test_many_calls_go_on_in_order_a_few_in_each_turn(turns):
    calls, names = turns(3, 3), [str(number) for number in range(20)]
    await asyncio.gather(*calls.start(*names))
    assert calls.names == names
    assert calls.most_in_a_turn() == 3


async def test_a_call_that_comes_alone_does_not_wait_for_a_burst(turns):
    calls = turns(2, 2)
    burst = calls.start(*["burst"] * 50)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(*calls.start("alone"))
    assert calls.names.index("alone") < 12
    await asyncio.gather(*burst)


async def test_calls_stay_in_the_line_in_which_they_have_waited(turns):
    one, other = turns(1, 1), turns(1, 1)

    async def both(name: str) -> None:
        line = await one.admission.admitted()
        await other.call(name, line=line)

    burst = [asyncio.create_task(both("burst")) for _ in range(30)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.create_task(both("alone"))
    assert other.names.index("alone") < 8
    await asyncio.gather(*burst)


async def test_what_ends_something_goes_before_all_lines(turns):
    calls = turns(1, 1)
    burst = calls.start(*["burst"] * 20)
    await asyncio.sleep(0)
    ending = calls.start("end", first=True)
    await asyncio.gather(*ending)
    assert calls.names.index("end") < 4
    await asyncio.gather(*burst)


async def test_cancelled_calls_hold_up_no_other(turns):
    calls, names = turns(2, 2), [str(number) for number in range(20)]
    tasks = calls.start(*names)
    await asyncio.sleep(0)
    for task in tasks[2::2]:
        task.cancel()
    await asyncio.wait(tasks)
    assert calls.names == [names[0], *names[1::2]]
    await asyncio.gather(*calls.start("later"))
    assert calls.admission._lines == {}


async def test_without_room_no_call_in_a_line_goes_on(turns):
    room = []
    calls = turns(5, 5, has_room=lambda: bool(room))
    calls.admission.close()
    tasks = calls.start(*"abc")
    for _ in range(20):
        await asyncio.sleep(0)
    assert calls.names == []
    room.append(True)
    await asyncio.gather(*tasks)
    assert calls.names == ["a", "b", "c"]


async def test_more_calls_go_on_after_a_turn_that_was_busy_with_something_else(turns):
    calls = turns(1, 10)
    tasks = calls.start(*["call"] * 30)

    async def busy() -> None:
        while not all(task.done() for task in tasks):
            sum(range(500_000))
            await asyncio.sleep(0)

    await busy()
    assert 1 < calls.most_in_a_turn() <= 10


async def test_futures_are_resolved_a_few_in_each_turn(turns):
    calls = turns(4, 4)
    waiters = [asyncio.get_running_loop().create_future() for _ in range(20)]
    waiters[3].cancel()
    calls.admission.resolve(waiters)
    assert sum(waiter.done() for waiter in waiters) == 4
    done = []
    for _ in range(20):
        await asyncio.sleep(0)
        done.append(sum(waiter.done() for waiter in waiters))
    assert max(after - before for before, after in itertools.pairwise(done)) <= 4
    await aeventually(lambda: all(waiter.done() for waiter in waiters))
