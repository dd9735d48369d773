"""Measured curves, where they are at hand: what a fit must make of them."""

import numpy as np
import pytest

from xrdsim.curves.curve import read_curve
from xrdsim.experiment.reflection import Reflection
from xrdsim.experiment.setup import Experiment
from xrdsim.experiment.tables import reflection_from
from xrdsim.fit.sample import Entry, Sample
from xrdsim.fit.series import fit_sample


def entry(path, hkl, **reading):
    reflection = reflection_from(Reflection, {"crystal": "GGG", "hkl": hkl}, "here")
    return Entry(curve=read_curve(path, per_count=1.0, **reading), experiment=Experiment(reflection))


@pytest.fixture(scope="module")
def pair(measured_folder):
    """Curves of 444 and 888 of one sample."""
    return [
        entry(measured_folder / "ggg_he_2e15_444_counts.xy", [4, 4, 4]),
        entry(measured_folder / "ggg_he_2e15_888_counts.xy", [8, 8, 8]),
    ]


def test_two_reflections_of_one_sample_are_described_together(pair):
    """Each as well as alone, within 15 %."""
    together = fit_sample(Sample(entries=tuple(pair), damage=True, damage_exponent=(0.3, 3.0)))
    for each, curve in zip(pair, together.curves, strict=True):
        alone = fit_sample(Sample(entries=(each,), damage=True))
        assert curve.mean_abs_log10 <= 1.15 * alone.curves[0].mean_abs_log10, curve.reflection
    assert np.isclose(together["Dmax1"].value, 0.0082, rtol=0.05)
