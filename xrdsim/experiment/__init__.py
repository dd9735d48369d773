"""What is measured and how: crystal, reflection, film and scan."""
