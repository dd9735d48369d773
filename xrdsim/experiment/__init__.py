"""What is measured and how: crystal, reflection, film, instrument and scan."""
