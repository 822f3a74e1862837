"""What is fixed about a cached function when its module is imported."""
