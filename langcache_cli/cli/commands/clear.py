"""The command ``langcache clear``."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.commands.keys.words import no_such_key
from langcache_cli.cli.commands.options import DryRun, Rate
from langcache_cli.cli.completion.values import cache_types, key_prefixes, patterns
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.help import HelpfulCommand
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible
from langcache_cli.cli.running import execute
from langcache_cli.readable import number_of

SHOWN = 5
"""Keys that a dry run names; its document has a few more."""

if TYPE_CHECKING:
    from langcache_cli.caching import Cache, CacheSettings
    from langcache_cli.operations.clear import ClearReport, Target


Types = Annotated[
    list[str],
    typer.Option(
        "--type", help="Clear this cache type. Repeatable.", metavar="TYPE", autocompletion=cache_types
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        help="Clear keys that match, such as 'cache:vocabulary:*'.", metavar="GLOB", autocompletion=patterns
    ),
]
Keys = Annotated[
    list[str],
    typer.Option(
        help="Clear exactly this key, as 'keys list' shows it. Repeatable.",
        metavar="KEY",
        autocompletion=key_prefixes,
    ),
]


class ClearCommand(HelpfulCommand):
    """The command, which knows what a word without an option is meant for."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As click does.

        Raises:
            CommandError: A key, a pattern or a type stands without its option.
        """
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            word = ctx.args[0]
            option = "--type" if ":" not in word else "--pattern" if "*" in word else "--key"
            raise CommandError(
                ExitCode.USAGE,
                f"{visible(word)!r} stands without an option",
                f"Type: langcache clear {option} {shlex.quote(visible(word))}",
            )
        return rest


def clear(
    ctx: typer.Context,
    type_: Types = [],  # noqa: B006 - typer's way to say 'none given'
    pattern: Pattern = None,
    key: Keys = [],  # noqa: B006 - as above
    tag: Annotated[
        list[str], typer.Option(help="Clear what has this tag, such as 'user:42'. Repeatable.", metavar="TAG")
    ] = [],  # noqa: B006 - as above
    all_: Annotated[bool, typer.Option("--all", help="Clear every key of the namespace.")] = False,
    rate: Rate = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    confirm: Annotated[
        str | None, typer.Option(help="The namespace, where LANGCACHE_ENV is prod.", metavar="NAMESPACE")
    ] = None,
) -> None:
    """Remove entries by type, pattern, key or tag.

    If a value is being loaded while you clear it, the result is not stored. Only keys of the namespace can be
    touched. Asks first, unless LANGCACHE_ENV is dev. Exits with 1 if none of the keys of
    --key is there.

    Examples:
        langcache clear --type vocabulary
        langcache clear --tag user:42 --dry-run
        langcache clear --pattern 'cache:translation:*:de:*' --yes
    """
    from langcache_cli.operations.clear import Target  # noqa: PLC0415 - see the package

    given = [bool(type_), pattern is not None, bool(key), bool(tag), all_]
    if sum(given) != 1:
        raise CommandError(ExitCode.USAGE, "say what to clear: one of --type, --pattern, --key, --tag, --all")
    target = Target(types=tuple(type_), pattern=pattern, keys=tuple(key), tags=tuple(tag), everything=all_)
    _clear(ctx.obj, target, rate=rate, dry_run=dry_run, yes=yes, confirm=confirm)


def _clear(
    invocation: Invocation,
    target: Target,
    *,
    rate: float | None,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
) -> None:
    from langcache_cli.operations.clear import require_valid  # noqa: PLC0415 - see the package

    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    require_valid(settings, target)
    if not dry_run and _must_ask(invocation, settings, yes=yes, confirm=confirm):
        # between two event loops: inside one, Ctrl-C would not end the question
        found = _count(output, settings, target)
        if not _is_missing(found, target) and not output.ask(_question(found)):
            raise CommandError(ExitCode.REFUSED, "nothing was removed")
    report = _count(output, settings, target) if dry_run else _remove(output, settings, target, rate)
    if invocation.json or not _is_missing(report, target):
        _print(output, invocation, settings, report)
    if _is_missing(report, target):
        raise no_such_key(target.keys[0])
    if target.pattern is not None and not report.count:
        _hint(output, settings, target.pattern)


def _is_missing(report: ClearReport, target: Target) -> bool:
    """True if keys were named and none of them is there: there is nothing to ask about."""
    return bool(target.keys) and not report.count


def _hint(output: Output, settings: CacheSettings, pattern: str) -> None:
    """Say why a pattern has probably matched nothing."""
    from langcache_cli.operations.pattern_hint import probable_mistake  # noqa: PLC0415 - see the package

    if mistake := probable_mistake(settings, pattern):
        output.note(f"warning: the pattern matched no key: {mistake}")


def _count(output: Output, settings: CacheSettings, target: Target) -> ClearReport:
    from langcache_cli.operations.clear import count  # noqa: PLC0415 - see the package

    with output.progress("counting") as on_progress:
        work = partial(count, on_progress=lambda done, _: on_progress(done, 0))
        return execute(_with_cache(settings, work, target))


def _remove(output: Output, settings: CacheSettings, target: Target, rate: float | None) -> ClearReport:
    """Remove; if that fails or is interrupted in the middle, say how much was removed."""
    from langcache_cli.operations.clear import Clearing  # noqa: PLC0415 - see the package

    clearing: Clearing | None = None

    def begin(cache: Cache, target: Target) -> Awaitable[ClearReport]:
        nonlocal clearing
        clearing = Clearing(cache, target, rate, on_progress=on_progress)
        return clearing.run()

    try:
        with output.progress("removing") as on_progress:
            return execute(_with_cache(settings, begin, target))
    except BaseException as error:  # an interruption, too: what was removed stays removed
        done = f"at least {_amount(clearing.report())} had been removed" if clearing is not None else ""
        if isinstance(error, CommandError) and error.failure.code is ExitCode.INTERRUPTED and done:
            raise CommandError(ExitCode.INTERRUPTED, f"interrupted; {done}") from None
        if clearing is not None and clearing.report().count:
            output.note(f"{done} before:")
        raise


async def _with_cache(
    settings: CacheSettings, work: Callable[[Cache, Target], Awaitable[ClearReport]], target: Target
) -> ClearReport:
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package

    async with open_cache(settings) as cache:
        return await work(cache, target)


def _must_ask(invocation: Invocation, settings: CacheSettings, *, yes: bool, confirm: str | None) -> bool:
    """Let it happen in dev, ask a person otherwise; in prod the namespace must be spelled out.

    Raises:
        CommandError: It is refused, or there is no terminal to ask on.
    """
    if confirm is not None and confirm != settings.namespace:
        raise CommandError(
            ExitCode.REFUSED, f"--confirm {confirm} is not the namespace {settings.namespace!r}"
        )
    if settings.env == "dev" or confirm is not None:
        return False
    if settings.env == "prod":
        raise CommandError(
            ExitCode.REFUSED,
            "LANGCACHE_ENV is prod: nothing was removed",
            f"Add --confirm {settings.namespace}.",
        )
    if not yes and not invocation.may_ask():
        raise CommandError(
            ExitCode.REFUSED,
            "nothing was removed: it needs consent, and may not ask for it",
            "Add --yes, or look first with --dry-run.",
        )
    return not yes


def _question(report: ClearReport) -> str:
    verb = "Invalidate" if report.unit == "tag" else "Remove"
    return f"{verb} {_amount(report)} ({report.target})?"


def _amount(report: ClearReport) -> str:
    return number_of(report.count, report.unit)


def _print(output: Output, invocation: Invocation, settings: CacheSettings, report: ClearReport) -> None:
    if invocation.json:
        output.document(
            "clear",
            {
                "target": invocation.target(settings),
                "selection": report.target,
                f"{report.unit}s": report.count,
                "by_type": dict(report.by_type),
                "samples": list(report.samples),
                "dry_run": report.dry_run,
            },
        )
        return
    done, undone = ("Invalidated", "invalidate") if report.unit == "tag" else ("Removed", "remove")
    what = f"{_amount(report)} ({report.target})."
    if not report.dry_run:
        output.done(f"{done} {what}")
        return
    output.line(f"Would {undone} {what}")
    shown = report.samples[:SHOWN]
    for sample in shown:
        output.line(f"  {visible(sample)}")
    if report.count > len(shown):
        output.line(f"  and {report.count - len(shown):,} more")
