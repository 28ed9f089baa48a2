"""What a policy is to the runtime: its networks and weights loaded, instructions encoded and cached."""
