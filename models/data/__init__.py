"""Demonstrations: what one is, and the file formats that it comes in and goes out to.

Called by training, by `demos.sh`, and by the export and replay of sessions.
"""
