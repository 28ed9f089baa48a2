"""Training in two stages: the video model on robot video, then the action head with the video model frozen.

Called by runtime/training/stages.py, which puts data, networks and checkpoints together.
"""
