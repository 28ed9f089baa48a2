"""Benchmarks: figures measured in the run that prints them, never asserted in tests."""
