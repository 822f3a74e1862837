"""The command ``langcache warm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.commands.options import DryRun, Rate, Sample
from langcache_cli.cli.commands.warm_application import warm_application
from langcache_cli.cli.commands.warm_counts import COLUMNS, cells, fields, require_stored
from langcache_cli.cli.completion.values import cache_types, levels
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute
from langcache_cli.readable import number_of

if TYPE_CHECKING:
    from langcache_cli.operations.warm import WarmReport


NOT_WITH_APP = "--app does not go with --level, --language, --sample or --verify"

Levels = Annotated[
    list[str],
    typer.Option(help="Only this level, A1 to C2. Repeatable.", metavar="LEVEL", autocompletion=levels),
]
Languages = Annotated[list[str], typer.Option(help="Only this language. Repeatable.", metavar="CODE")]
Types = Annotated[
    list[str],
    typer.Option(
        "--type",
        help="Only look-ups of this cache type. Repeatable.",
        metavar="TYPE",
        autocompletion=cache_types,
    ),
]
Limit = Annotated[
    int,
    typer.Option(
        help="Words per level-list page; must match the backend.", metavar="WORDS", min=1, max=2**31 - 1
    ),
]
MissingOnly = Annotated[bool, typer.Option("--missing-only", help="Skip keys that have an entry.")]
Application = Annotated[
    str | None,
    typer.Option(
        "--app",
        help="Run the warmers of your application's own functions instead. ATTRIBUTE is an async context "
        "manager that opens the database.",
        metavar="MODULE[:ATTRIBUTE]",
    ),
]
Verify = Annotated[
    int,
    typer.Option(help="Read this many entries back and compare them with the database.", metavar="N", min=0),
]


def warm(
    ctx: typer.Context,
    level: Levels = [],  # noqa: B006 - typer's way to say 'none given'
    language: Languages = [],  # noqa: B006 - as above
    type_: Types = [],  # noqa: B006 - as above
    limit: Limit = 250,
    sample: Sample = False,
    missing_only: MissingOnly = False,
    app: Application = None,
    rate: Rate = None,
    dry_run: DryRun = False,
    verify: Verify = 0,
) -> None:
    """Fill the cache from the database.

    Stores what the functions of langcache_cli.vocabulary return: every word by its id and by its spelling,
    and every page of every level list. With --app it fills your own functions instead, those that have a
    warmer. Existing entries stay readable until replaced; those invalidated meanwhile are not brought back.

    Examples:
        langcache warm                               everything in DATABASE_URL
        langcache warm --type vocabulary --level A1  only what beginners ask for
        langcache warm --app yourapp.warming:database
    """
    invocation: Invocation = ctx.obj
    if app is not None:
        if level or language or sample or verify:
            raise CommandError(ExitCode.USAGE, NOT_WITH_APP)
        execute(
            warm_application(
                invocation, app, types=type_, missing_only=missing_only, rate=rate, dry_run=dry_run
            )
        )
        return
    level = [name.upper() for name in level]
    _require_levels(level)
    execute(
        _warm(
            invocation,
            sample=sample,
            levels=level,
            languages=language,
            types=type_,
            limit=limit,
            missing_only=missing_only,
            rate=rate,
            dry_run=dry_run,
            verify=verify,
        )
    )


async def _warm(invocation: Invocation, *, sample: bool, dry_run: bool, **options: Any) -> None:
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see the package
    from langcache_cli.operations.warm import VocabularyWarm  # noqa: PLC0415 - see the package

    settings, output = invocation.settings(), Output(invocation)
    database = invocation.database(settings, sample=sample)
    output.target(f"{invocation.target(settings)}\nfrom {database.target}")
    run: VocabularyWarm | None = None
    try:
        async with database, open_cache(settings) as cache:
            with output.progress("warming") as on_progress:
                run = VocabularyWarm(cache, database, dry_run=dry_run, on_progress=on_progress, **options)
                report = await run.run()
    except BaseException:  # an interruption, too: what was stored stays
        # with --json the one document is the error
        if run is not None and run.report().total.written and not invocation.json:
            _print(output, run.report())
        raise
    if invocation.json:
        output.document("warm", {"target": invocation.target(settings), **_document(report)})
    elif dry_run or not invocation.quiet:
        _print(output, report)
    _judge(report, database.target)


def _print(output: Output, report: WarmReport) -> None:
    if not report.lines:
        return
    rows = [
        (
            line.language or "-",
            line.level or "-",
            line.what,
            *cells(line.counts, line.seconds),
        )
        for line in report.lines
    ]
    columns = ("Language", "Level", "What", *COLUMNS)
    output.table("Warmed" if not report.dry_run else "Would warm", columns, rows, text_columns=3)
    output.line(_sentence(report))


def _sentence(report: WarmReport) -> str:
    if report.dry_run:
        return f"Would warm {number_of(report.total.read, 'entry', 'entries')}; nothing was written."
    text = (
        f"{number_of(report.written('spellings'), 'spelling')}, "
        f"{number_of(report.written('words'), 'word')} and "
        f"{number_of(report.written('level lists'), 'level list')} warmed in {report.seconds:.2f} s."
    )
    if report.verification is not None:
        checked, wrong = report.verification.checked, len(report.verification.wrong)
        text += f" Verified {checked:,}: {wrong:,} wrong."
    return text


def _document(report: WarmReport) -> dict[str, Any]:
    lines = [
        {
            "language": line.language,
            "level": line.level,
            "what": line.what,
            **fields(line.counts, line.seconds),
        }
        for line in report.lines
    ]
    verification = report.verification
    return {
        "dry_run": report.dry_run,
        "seconds": report.seconds,
        "words_written": report.written("words"),
        "spellings_written": report.written("spellings"),
        "level_lists_written": report.written("level lists"),
        "lines": lines,
        "verified": None
        if verification is None
        else {"checked": verification.checked, "wrong": verification.wrong},
    }


def _judge(report: WarmReport, database: str) -> None:
    if not report.lines:
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"there was nothing to warm: vocabulary_words has no such words ({database})",
            "Check --type, --language and --level, or whether the backend has filled the table.",
        )
    if report.verification is not None and report.verification.wrong:
        wrong = ", ".join(report.verification.wrong)
        raise CommandError(ExitCode.CHECK_FAILED, f"not as in the database: {wrong}")
    require_stored(report.total)


def _require_levels(levels: list[str]) -> None:
    from langcache_cli.vocabulary import LEVELS  # noqa: PLC0415 - see the package

    for level in levels:
        if level not in LEVELS:
            raise CommandError(ExitCode.USAGE, f"unknown level {level!r}; levels: {', '.join(LEVELS)}")
