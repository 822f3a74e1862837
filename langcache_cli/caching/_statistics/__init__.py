"""Counters of this process and of the fleet, and the reports made of them."""
