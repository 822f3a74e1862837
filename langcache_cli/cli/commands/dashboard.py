"""The command ``langcache dashboard``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.commands.extras import install_line
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    import socket

    from langcache_cli.caching import CacheSettings

HOST = "127.0.0.1"
WINDOWS = ("1h", "6h", "24h", "7d")
GRACE_SECONDS = 2
"""For requests under way, at the end."""


def dashboard(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option(help="Listen on this port; 0 takes a free one.", metavar="PORT", min=0, max=65535)
    ] = 0,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Leave out everything that removes entries.")
    ] = False,
    hide_arguments: Annotated[
        bool, typer.Option("--hide-arguments", help="Show neither arguments in keys nor values.")
    ] = False,
    window: Annotated[
        str, typer.Option(help="How far back to look at first.", metavar="|".join(WINDOWS))
    ] = "1h",
) -> None:
    """Show the cache in a browser.

    Shows hit rates, latencies, what fills the memory, keys and values. It listens on this machine only, and
    the printed address holds a token that is new at each start. Where LANGCACHE_ENV is prod it removes
    nothing. Ctrl-C ends it.

    Examples:
        langcache dashboard --open
        langcache dashboard --port 8900 --read-only
        ssh -L 8900:127.0.0.1:8900 host langcache dashboard --port 8900
    """
    if window not in WINDOWS:
        raise CommandError(ExitCode.USAGE, f"--window {window!r}: one of {', '.join(WINDOWS)}")
    _require_installed()
    invocation: Invocation = ctx.obj
    settings = invocation.settings()
    Output(invocation).target(invocation.target(settings))
    with _listening(port) as listener:
        execute(
            _serve(
                invocation,
                settings,
                listener,
                window=window,
                opened=open_,
                read_only=read_only or settings.env == "prod",
                hide_arguments=hide_arguments,
            )
        )


async def _serve(
    invocation: Invocation,
    settings: CacheSettings,
    listener: socket.socket,
    *,
    window: str,
    opened: bool,
    read_only: bool,
    hide_arguments: bool,
) -> None:
    import uvicorn  # noqa: PLC0415 - see the package

    from langcache_cli.caching import Cache  # noqa: PLC0415 - as above
    from langcache_cli.web.app import dashboard_app, new_token  # noqa: PLC0415 - as above

    output, token, port = Output(invocation), new_token(), listener.getsockname()[1]
    page = f"http://{HOST}:{port}/"
    url = f"{page}#token={token}" + ("" if window == "1h" else f"&window={window}")
    # not `open_cache`: the page says that the cache is disabled, and goes on when Redis is away
    async with Cache(settings, publish_statistics=False, defer_invalidations=False) as cache:
        app = dashboard_app(cache, token=token, port=port, read_only=read_only, hide_arguments=hide_arguments)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        if invocation.json:
            output.document("dashboard", {"url": url, "read_only": read_only})
            output.print_document()
        else:
            output.line(url)
            output.note("Ctrl-C ends it.")
        if opened:
            import webbrowser  # noqa: PLC0415 - as above

            webbrowser.open(url)
        await uvicorn.Server(config).serve(sockets=[listener])


def _require_installed() -> None:
    try:
        import starlette  # noqa: F401, PLC0415 - see the package
        import uvicorn  # noqa: F401, PLC0415 - as above
    except ImportError as error:
        raise CommandError(
            ExitCode.BAD_CONFIGURATION,
            f"the dashboard needs {error.name}, which is not installed",
            f"Install it: {install_line('dashboard')} ('langcache stats' needs nothing)",
        ) from None


def _listening(port: int) -> socket.socket:
    """A socket of this machine only.

    Raises:
        CommandError: The port is taken, or not allowed.
    """
    import socket  # noqa: PLC0415 - see the package

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # before the address is printed, so that a browser is never refused
    except OSError as error:
        listener.close()
        message = f"--port {port} cannot be listened on: {error.strerror}"
        raise CommandError(
            ExitCode.BAD_CONFIGURATION, message, "Leave --port out to take a free one."
        ) from error
    return listener
