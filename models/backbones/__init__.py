"""Video diffusion models behind one small interface: latents of a frame, features of a window."""
