"""What passes between processes: every message, the topics they travel on, the bus, the ring of frames.
Used by every process, and by whoever reads sessions.
"""
