"""What a policy is to the runtime: its networks and weights loaded, instructions encoded and cached.
Used by both systems, the text process, replay and evaluation, and by the commands `weights` and `instruct`.
"""
