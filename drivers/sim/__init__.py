"""A simulated Cobot Magic: physics, cameras and tasks behind the same protocols as the real devices."""
