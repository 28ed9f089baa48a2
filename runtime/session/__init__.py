"""Session files: their format, how they are written, read, recovered and replayed."""
