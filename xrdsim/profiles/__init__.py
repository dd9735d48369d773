"""What lies under the surface: the parameters of a strain profile, their ranges and bounds."""
