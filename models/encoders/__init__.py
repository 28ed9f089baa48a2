"""Networks that read what the video model does not: System 1's pictures, and the instruction. Used by fast and instructor."""
