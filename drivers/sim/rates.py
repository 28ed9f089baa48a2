"""How often things happen in the simulation. Read by who runs it, and by who checks settings before it is loaded."""

SIMULATOR_HZ = 200  # as a real arm sends its readings
DEMONSTRATION_HZ = 30  # of targets and observations; the cameras' rate (Video2Act, table 3)
