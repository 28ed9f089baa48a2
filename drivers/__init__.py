"""Arms, cameras and the simulator, behind two small protocols. Knows nothing of the runtime or the models.

Called by runtime/arms and runtime/devices, and by evaluation and demonstrations, which use the simulator without a clock.
"""
