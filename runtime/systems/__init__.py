"""System 1 and System 2: their processes, their steps, the sets of frames that they see, a virtual clock for both.
Started by the supervisor; replay and evaluation call the steps.
"""
