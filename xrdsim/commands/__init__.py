"""The terminal: what it shows, and the commands that simulate, make datasets and measure speed."""
