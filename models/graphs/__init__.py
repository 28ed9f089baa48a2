"""Both systems' networks as ONNX graphs, which ONNX Runtime computes on a CPU without Python between their operations.

Small networks spend most of a run of torch between the operations: a chunk of the shipped policy takes 22 ms there, 5 ms here.
"""
