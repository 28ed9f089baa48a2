"""Video diffusion models behind one interface, models/backbones/backbone.py. System 2 and stage 1 know only that.

models/system2.py picks one by the configuration's kind.
"""
