"""Session files: their format, how they are written, read, recovered and exported.
Used by the recorder, replay, console and benchmarks, and by the commands `export` and `trace`.
"""
