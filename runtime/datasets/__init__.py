"""Folders of demonstrations: checked, converted, merged, split, cut down, relabelled; and which can be learnt from.
Called by runtime/cli.py and by training.
"""
