"""TLS as redis-py reads the options of a URL, so that one URL means the same to both."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

AUTHORITIES = ("ssl_ca_certs", "ssl_ca_path")
CERTIFICATE = ("ssl_certfile", "ssl_keyfile")


class TlsFileError(OSError):
    """A file that the URL names for TLS cannot be used. The message names the option, not the path."""


def tls_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """What to expect of a server, and what to show to it.

    Args:
        options: The query parameters of the URL.

    Raises:
        TlsFileError: A file cannot be read, or holds something else.
    """
    files, folders = (options.get(name) for name in AUTHORITIES)
    with _naming(AUTHORITIES, options):
        context = ssl.create_default_context(cafile=files, capath=folders)
    if options.get("ssl_check_hostname", "true").lower() in ("false", "0", "no"):
        context.check_hostname = False
    if options.get("ssl_cert_reqs", "required") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = (options.get(name) for name in CERTIFICATE)
    if certificate:
        with _naming(CERTIFICATE, options):
            context.load_cert_chain(certificate, key)
    return context


@contextmanager
def _naming(names: tuple[str, ...], options: Mapping[str, str]) -> Iterator[None]:
    """Name the options of which one has a file that cannot be used."""
    try:
        yield
    except OSError as error:
        given = " and ".join(name for name in names if options.get(name))
        # OpenSSL: "[X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:4154)"
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        text = f"what {given} names cannot be used: {str(reason).replace('_', ' ').lower()}"
        raise TlsFileError(text) from error
