"""What in the pictures moved the arms: Grad-CAM of a session's chunks.
Run by the command `explain`.
"""
