"""A study that compares ways of training."""
