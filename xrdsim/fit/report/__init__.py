"""What a fit found, to look at: figures, tables and one page."""
