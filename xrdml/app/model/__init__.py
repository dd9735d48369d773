"""What the page shows and changes, without a browser: the document, its problem, its history and its files."""
