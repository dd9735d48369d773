"""What can be believed: whether a file contradicts what is fitted, and what a refined curve is worth."""
