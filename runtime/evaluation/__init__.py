"""Closed-loop evaluation in simulation, on a virtual clock: success rates, ablations, tables, plots and videos.
Run by the command `evaluate`; deploy/robotwin plays RoboTwin's scenes by it.
"""
