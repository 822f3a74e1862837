"""The dashboard: one page, its endpoints, and the application that serves both for `langcache dashboard`."""
