"""A policy's configuration, a file for each of its parts; the whole of it is policy.py."""
