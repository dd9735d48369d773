"""The page: a measured curve, the model and the profile, which move while parameters are dragged, and their fit."""
