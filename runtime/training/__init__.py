"""The command train.sh: both stages, from demonstrations to a checkpoint, on one machine or many."""
