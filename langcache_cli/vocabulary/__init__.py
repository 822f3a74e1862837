"""The vocabulary of a language-learning backend: its table, its cached look-ups, a bundled sample."""

from langcache_cli.vocabulary.database import Database
from langcache_cli.vocabulary.errors import (
    DatabaseAuthenticationError,
    DatabaseConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
)
from langcache_cli.vocabulary.groups import Group, groups, id_batches, spellings_of, words_of
from langcache_cli.vocabulary.problems import explained
from langcache_cli.vocabulary.sample import sample_database, sample_rows
from langcache_cli.vocabulary.services import (
    find_vocabulary_word,
    get_vocabulary_level,
    get_vocabulary_word,
    words_by_id,
)
from langcache_cli.vocabulary.words import LEVELS, VocabularyWord, metadata, vocabulary_words

__all__ = [
    "LEVELS",
    "Database",
    "DatabaseAuthenticationError",
    "DatabaseConfigurationError",
    "DatabaseError",
    "DatabaseUnavailableError",
    "Group",
    "VocabularyWord",
    "explained",
    "find_vocabulary_word",
    "get_vocabulary_level",
    "get_vocabulary_word",
    "groups",
    "id_batches",
    "metadata",
    "sample_database",
    "sample_rows",
    "spellings_of",
    "vocabulary_words",
    "words_by_id",
    "words_of",
]
