"""What the browser shows: plots and the table of unknowns as components, and the shell about them."""
