"""Processes that own devices: cameras, CAN buses, leader buses, the simulator and emulators.
Started by the supervisor; doctor, evaluation and the GPU box share what they know of devices.
"""
