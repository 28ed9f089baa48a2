"""The 200 Hz process that moves the arms: chunks in, targets out, through the safety layer."""
