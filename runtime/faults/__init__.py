"""Faults put into a running simulated robot, and what it makes of them: the matrix as one command."""
