"""The 200 Hz process that moves the arms: chunks in, targets out, through the safety layer.
Started by the supervisor; evaluation, replay and benchmarks call its step, the console its link points.
"""
