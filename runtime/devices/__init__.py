"""Processes that own devices: cameras, CAN buses, leader buses, the simulator and emulators."""
