"""One load per key: loads under way in this process, and the renewal of their leases."""
