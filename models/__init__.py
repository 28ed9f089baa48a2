"""The networks of both systems and their training. Knows nothing of processes or devices."""
