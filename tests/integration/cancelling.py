"""Cancels an operation after some steps of its task."""

import asyncio

STEPS = 40  # more loop iterations than any operation takes that need not connect


async def cancel_after(coroutine, steps, *, times=1):
    """Run a task for so many iterations of the loop, then cancel it; say whether it had ended before."""
    task = asyncio.create_task(coroutine)
    for _ in range(steps):
        await asyncio.sleep(0)
        if task.done():
            await task
            return True
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # the cancellation came too late for it; an exception would be a bug
    return False
