"""What passes between processes: every message, the topics they travel on, the bus, the ring of frames."""
