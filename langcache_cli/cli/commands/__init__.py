"""One module a command: its options, one awaited operation, the report it prints.

Operations are imported inside the functions: ``langcache --help`` must not pay for redis, pydantic or
SQLAlchemy.
"""
