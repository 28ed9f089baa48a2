"""Video Policy, the second family: a video model imagines the task being done, an action network reads its features."""
