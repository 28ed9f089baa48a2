"""Both stages of training, from demonstrations to a checkpoint, on one machine or many; and making demonstrations.
Run by the commands `train` and `demos`; sweeps of evaluation train by it.
"""
