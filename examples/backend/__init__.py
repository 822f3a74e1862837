"""A small language-learning backend on the caching core: `uvicorn examples.backend.app:app`."""
