"""The settings tree, its profiles, and the flags and files that change it.
Used by every command and every process.
"""
