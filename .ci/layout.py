"""Checks the layout: circles of imports (those for type checkers included), and sizes.

Limits: 16 modules in a folder, 300 lines in a file, 50 lines in a function, docstring included; for tests
only the lines of a file. Prints the figures, and a line for each offence; exits with 1 if there is one.
"""

import ast
import graphlib
import sys
from collections import Counter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "langcache_cli"
MAX_MODULES, MAX_LINES, MAX_FUNCTION_LINES = 16, 300, 50
DELEGATES_ONLY = {"langcache_cli/caching/_front/cache.py"}
"""Longer: one class that only delegates. Its docstring gives the reason."""


def circles() -> list[str]:
    """Circles of imports, taken apart one by one."""
    sys.path.insert(0, str(ROOT))  # grimp finds the package there; nothing of it is imported
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    found = []
    while True:
        try:
            graphlib.TopologicalSorter(imports).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1]
            found.append(f"circle of imports: {' <- '.join(circle)}")
            imports[circle[1]].discard(circle[0])
        else:
            return found


def long_files(files: list[Path]) -> list[str]:
    """Files over the limit."""
    found = []
    for path in files:
        lines = (ROOT / path).read_text("utf-8").count("\n")
        if lines > MAX_LINES and path.as_posix() not in DELEGATES_ONLY:
            found.append(f"{path}: {lines} lines, more than {MAX_LINES}")
    return found


def sizes(files: list[Path]) -> list[str]:
    """Folders and functions over the limits."""
    found = []
    for folder, count in Counter(path.parent for path in files).items():
        if count > MAX_MODULES:
            found.append(f"{folder}: {count} modules, more than {MAX_MODULES}")
    for path in files:
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    found.append(f"{path}:{node.lineno}: {node.name}() has {length} lines")
    return found


def modules_below(folder: str) -> list[Path]:
    """All of them, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def main() -> int:
    """Check; returns the exit code."""
    files, tests = modules_below(PACKAGE), modules_below("tests")
    rings, offences = circles(), [*sizes(files), *long_files([*files, *tests])]
    for line in (*rings, *offences):
        print(line)
    counted = f"{len(files)} modules and {len(tests)} of tests"
    print(f"{counted}, {len(rings)} circles, {len(offences)} over a limit of size")
    return 1 if rings or offences else 0


if __name__ == "__main__":
    sys.exit(main())
