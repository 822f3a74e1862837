"""Output for other programs: monitoring, CI."""
