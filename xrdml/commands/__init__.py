"""The commands of `xrd` that invert curves and train networks."""
