"""The networks of both systems and their training. Knows nothing of processes or devices.

Called by runtime/policy (to run), runtime/training (to train) and runtime/bench (to measure).
"""
