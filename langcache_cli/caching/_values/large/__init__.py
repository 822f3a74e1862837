"""Large values: JSON in lines, encoded and decoded in portions between which the event loop runs."""
