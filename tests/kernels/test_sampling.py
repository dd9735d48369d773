"""The coarse angles of curves, against curves that are computed at every angle, and what they cost."""

from dataclasses import replace

import numpy as np
import pytest

from xrdsim.experiment.geometry import glancing
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.forward.optics import centre, highest_frequency
from xrdsim.forward.prepare import prepare
from xrdsim.forward.simulator import reflectivity_of
from xrdsim.kernels.sampling import MOST_NODES, equal_angles, equal_phases
from xrdsim.units import ARCSEC

THICKEST = 8400.0


def inclined(geometry, **more):
    return Reflection(GGG_444.crystal, (8, 8, 0), GGG_444.wavelength, surface=(1, 1, 1), geometry=geometry, **more)


INCIDENCE, EXIT = inclined("grazing-incidence"), inclined("grazing-exit")


def over_the_same_strains(reflection):
    part = reflection.angle_per_strain / GGG_444.angle_per_strain
    return Scan(DEFAULT_SCAN.start * part, DEFAULT_SCAN.step * part, DEFAULT_SCAN.points)


def along_the_surface():
    """Planes along the surface, with the same normal component of h as 880."""
    crystal, parallel = GGG_444.crystal, INCIDENCE.h0 * INCIDENCE.normal[2]
    lattice = crystal.lattice * GGG_444.h0 / parallel
    return Reflection(replace(crystal, lattice=lattice), (4, 4, 4), GGG_444.wavelength)


def chosen(reflection, scan, cluster=(), thickness=THICKEST):
    at = np.array(cluster, dtype=np.float64)
    return equal_phases(scan, at, 16.0, thickness, reflection, centre(reflection, Convention.EXACT))


@pytest.mark.parametrize("thickness", [3000.0, THICKEST])
@pytest.mark.parametrize("convention", [Convention.EXACT, Convention.SECOND_ORDER])
@pytest.mark.parametrize("reflection", [INCIDENCE, EXIT, inclined("grazing-exit", miscut=0.5, azimuth=70.0)])
def test_every_node_has_the_value_of_its_angle(reflection, convention, thickness, prior):
    """A single one lies on a coarse angle, where nothing is interpolated."""
    experiment, scan = Experiment(reflection, convention), over_the_same_strains(reflection)
    scan = replace(scan, points=900 if reflection is EXIT else scan.points)
    rows = np.ascontiguousarray(prior[prior[:, 2] < 0.9 * thickness][:6])
    cluster = np.array([-3.3, 0.1, 2.0, 7.7])
    model = prepare(scan, experiment, cluster=cluster, thickness=thickness)
    assert chosen(reflection, scan, cluster, thickness) is not None
    found = reflectivity_of(rows, model)
    for i, angle in [*enumerate(scan.angle[:: scan.points // 20]), *enumerate(cluster, start=scan.points)]:
        node = i * (scan.points // 20) if i < scan.points else i
        alone = prepare(scan, experiment, grid=Scan(float(angle), 1.0, 1), thickness=thickness)
        np.testing.assert_allclose(found[:, node], reflectivity_of(rows, alone)[:, 0], rtol=3e-5)


def test_an_inclined_surface_needs_no_more_coarse_angles():
    """Than a symmetric reflection whose layers have as many fringes over the same strains."""
    symmetric = along_the_surface()
    scan = over_the_same_strains(symmetric)
    nu = highest_frequency(THICKEST, symmetric, scan)
    most = equal_angles(scan, np.empty(0), 16.0, nu).needed
    for reflection in (INCIDENCE, EXIT):
        s = (symmetric.h0 / symmetric.k) / (1.0 + np.array([-0.0008, 0.0286]))
        low, high = (angle_where(reflection, each) for each in s)
        same = Scan(low, (high - low) / (scan.points - 1), scan.points)
        assert chosen(reflection, same).needed <= 1.01 * most


def angle_where(reflection, cosines):
    """The angle [arcsec] from the Bragg angle at which γ0 + γh has a value."""
    theta = glancing(np.array([cosines]), reflection.normal, reflection.k, reflection.h0)[0]
    return float(reflection.theta_bragg - theta) / ARCSEC


def test_nothing_is_chosen_where_the_cosines_do_not_tell_the_angle():
    assert chosen(EXIT, Scan(-80.0, 4.0, 900)) is None  # leaves below the horizon
    assert chosen(EXIT, Scan(-80.0, 0.01, MOST_NODES + 1)) is None
    back = Reflection(
        replace(GGG_444.crystal, lattice=GGG_444.wavelength * np.sqrt(128.0) / (2.0 * np.sin(np.radians(80.0)))),
        (8, 8, 0), GGG_444.wavelength, surface=(1, 1, 1), geometry="grazing-exit",
    )  # fmt: skip
    assert chosen(back, Scan(-400.0, 4.0, 300)) is not None
    turned = Scan(-34300.0, 4.0, 300)  # the waves are antiparallel at 89.5°
    assert chosen(back, turned) is None
