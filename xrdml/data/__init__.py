"""What a network learns from: rows of curves, measured anew, and the ranges that go with them."""
