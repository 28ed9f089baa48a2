"""Training of Video Policy in two stages: its video model on robot video, then adapter and action network on top of it.

Called by runtime/training/video_policy_stages.py.
"""
