"""TLS in front of a server that does not speak it, and the certificates for that."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import trustme

CHUNK = 65536
LONG_AGO = datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)


class Authority:
    """Signs certificates of servers and clients; `file` is what clients trust, `other` what they must not."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file, self.other, self.client = (folder / f"{name}.pem" for name in ("ca", "other", "client"))
        self._authority.cert_pem.write_to_path(str(self.file))
        trustme.CA().cert_pem.write_to_path(str(self.other))
        identity = self._authority.issue_cert("app@example.org").private_key_and_cert_chain_pem
        identity.write_to_path(str(self.client))

    def server(self, *names: str, expired: bool = False, mutual: bool = False) -> ssl.SSLContext:
        """What a server of these names shows; with `mutual` it wants a certificate of its clients, too."""
        not_before, not_after = LONG_AGO if expired else (None, None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names, not_before=not_before, not_after=not_after).configure_cert(context)
        if mutual:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@asynccontextmanager
async def tls_in_front_of(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port that decrypts and passes on to another; closed with everything that goes through it."""
    copies: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except OSError:  # one side has gone: so does the other
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_redis = await asyncio.open_connection("127.0.0.1", port)
        copies.update(
            asyncio.ensure_future(copy(*pair)) for pair in ((reader, to_redis[1]), (to_redis[0], writer))
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in copies:
            task.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


@contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """`tls_in_front_of` in a thread of its own, for tests without an event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tls-front", daemon=True)
    thread.start()
    front = tls_in_front_of(port, context)
    try:
        yield asyncio.run_coroutine_threadsafe(front.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(front.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
