"""Demonstrations: what one is, and the file formats that it comes in and goes out to."""
