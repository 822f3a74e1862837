"""A function of numbers, and the calls and loads of its warms."""


def numbers(cache, **options):
    """A cached function whose value is its argument times ten."""
    runs = []

    @cache.cached(key_prefix="numbers", **options)
    async def times_ten(number: int) -> dict[str, int]:
        runs.append(number)
        return {"value": number * 10}

    return times_ten, runs


CALLS = [{"number": number} for number in range(50)]


async def load(calls):
    return [{"value": call["number"] * 10} for call in calls]


async def load_older(calls):
    return [{"value": -1} for _ in calls]
