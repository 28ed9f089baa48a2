"""Arms, cameras and the simulator, behind two small protocols. Knows nothing of the runtime or the models."""
