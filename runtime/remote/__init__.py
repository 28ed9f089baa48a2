"""System 2 on another machine: the same messages over an encrypted connection, pictures as JPEG."""
