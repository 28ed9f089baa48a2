"""Video diffusion models behind one small interface (backbone.py)."""
