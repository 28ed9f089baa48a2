"""Training in two stages: the video model on robot video, then the action head with the video model frozen."""
