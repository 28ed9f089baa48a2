"""Benchmarks: figures measured in the run that prints them, never asserted in tests.
Run by the command `bench`; nothing else imports them.
"""
