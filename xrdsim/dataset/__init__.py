"""Datasets on disk: which rows, how they are made, written, checked and read."""
