"""A policy for other robots and simulators: clients of openpi ask it for chunks over a websocket.
Run by the command `serve`.
"""
