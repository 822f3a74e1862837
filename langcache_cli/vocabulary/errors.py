"""What can be wrong with a vocabulary database, told apart by what to do about it."""

from __future__ import annotations


class DatabaseError(Exception):
    """Base of the errors of this package.

    Attributes:
        target: The database, without its password.
    """

    def __init__(self, message: str, *, target: str) -> None:
        super().__init__(f"{message} ({target})")
        self.target = target


class DatabaseUnavailableError(DatabaseError):
    """The server cannot be reached, or the connection broke."""


class DatabaseAuthenticationError(DatabaseError):
    """The server refused the user or the password."""


class DatabaseConfigurationError(DatabaseError):
    """The URL is wrong, or what it names has no vocabulary table."""
