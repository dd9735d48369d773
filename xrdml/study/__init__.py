"""A study that compares methods of training."""
