"""Plain text: what its header says, which of its columns are angle and intensity, where one scan ends."""
