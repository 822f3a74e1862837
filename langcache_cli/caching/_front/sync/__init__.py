"""The public objects as code without an event loop uses them."""
