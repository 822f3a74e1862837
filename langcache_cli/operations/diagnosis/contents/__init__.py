"""What is wrong with what Redis holds: entries that never end, large ones, none at all."""
