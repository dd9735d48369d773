"""Profiles with steep flanks, which kernels must resolve."""

import numpy as np


def narrow_flanks():
    """Vectors with steep flanks and every limit case, (n, 7)."""
    base = np.array([0.01305, 0.0017, 5800.0, 3500.0, 0.004845, 4000.0, -500.0])
    rows = []
    for width in (1.0, 10.0, 50.0, 150.0):
        rows += [[*base[:3], base[2] - width, *base[4:]], [*base[:3], width, *base[4:]]]
    limits = {"Rp1 = 0": (3, 0.0), "D01 = Dmax1": (1, base[0]), "L1 = Rp1": (3, base[2]), "Rp2 = 0": (6, 0.0)}
    for column, value in limits.values():
        row = base.copy()
        row[column] = value
        rows.append(row)
    rows.append([0.01305, 0.01305, 5800.0, 5800.0, 0.004845, 5800.0, 0.0])
    rows.append([0.01305, 0.0001, 5800.0, 0.0, 0.004845, 500.0, -6500.0])
    return np.array(rows, dtype=float)
