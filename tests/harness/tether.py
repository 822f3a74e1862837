"""Run a program that cannot outlive the test process: `python tether.py PARENT SIGNAL USER GROUP program...`.

A script, not a module to import: between fork and exec the only safe place for Python code is a fresh
interpreter (`preexec_fn` can deadlock in a process with threads, and Python 3.12 warns about it). The kernel
sends SIGNAL when the parent dies, by SIGKILL as well. It forgets the request when the user changes, hence
the order below.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
NO_CHANGE = -1


def main(parent: int, signal: int, user: int, group: int, program: list[str]) -> None:
    """Become `program`, as `user`; exit at once if the parent is already gone."""
    if user != NO_CHANGE:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        sys.exit("the process that asked for this program is gone")
    os.execv(program[0], program)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]), sys.argv[5:])
