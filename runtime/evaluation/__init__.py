"""Closed-loop evaluation in simulation, on a virtual clock: success rates, ablations, tables, plots and videos."""
