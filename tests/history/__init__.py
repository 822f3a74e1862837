"""A checker of the guarantees: real processes, a real database, faults, and afterwards every read is judged.

`python -m tests.history --minutes 10 --faults all` runs it for long; `test_history.py` for seconds.

- `worker.py`, `options.py`: a process that reads, changes and invalidates, and writes down all of it with the
  time
- `subjects.py`: the cached functions it uses: one for each kind of caching there is
- `changes.py`: the changes that it makes, and what is invalidated after each
- `watch.py`: what it writes down about runs of the functions, and about what takes leases away
- `journal.py`, `records.py`: what is written down, and reading it back
- `faults.py`: what is done to the workers, to Redis and to the network meanwhile
- `run.py`: a run: servers, workers, faults, and the journals afterwards
- `verdict.py`: what a history must satisfy; `overlaps.py`: when two runs of a function may overlap
- `defects.py`: broken caches, which the checker must find (`--unguarded`, `--unleased`, `--deaf`)
"""
