"""What each reflection of a sample adds, against the inverse of the summed information."""

from dataclasses import replace

import numpy as np
import pytest

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection, stretch
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.experiment.setup import Experiment, damage_power
from xrdsim.information.figures import contributions_figure, contributions_table
from xrdsim.information.fisher import fisher
from xrdsim.information.reflections import contributions
from xrdsim.profiles.space import ParameterSpace

SPACE = ParameterSpace().with_damage()


@pytest.fixture(scope="module")
def trio():
    crystal = replace(GGG_444.crystal, chih=-13.559e-6 + 3.462e-6j)
    inclined = Reflection(crystal, (8, 8, 0), GGG_444.wavelength, surface=(1, 1, 1), geometry="grazing-incidence")
    return (GGG_444, replace(GGG_444, hkl=(8, 8, 8)), inclined)


@pytest.fixture(scope="module")
def damaged(prior):
    return np.column_stack([prior[:3], [0.3, 0.1, 0.5], [1.0, 2.0, 0.7]])


def test_one_reflection_is_the_fisher_information(damaged):
    found = contributions(damaged, (GGG_444,), 1e6, fwhm=38.0, mask=50.0, space=SPACE)
    expected = fisher(damaged, 1e6, fwhm=38.0, mask=50.0, space=SPACE)
    np.testing.assert_allclose(found.alone[0], expected.std[:, :9], rtol=1e-9)
    np.testing.assert_allclose(found.together, found.alone, rtol=1e-9)


def test_together_is_the_sum_of_the_information_with_the_own_unknowns_eliminated(damaged, trio):
    found = contributions(damaged, trio, fwhm=38.0, space=SPACE)
    total = 0.0
    for each in trio:
        scan = replace(DEFAULT_SCAN, start=DEFAULT_SCAN.start * stretch(each), step=DEFAULT_SCAN.step * stretch(each))
        wide = max(1.0, np.tan(each.theta_bragg) / np.tan(GGG_444.theta_bragg))
        experiment = Experiment(each, damage_power=damage_power(each, GGG_444))
        alone = fisher(damaged, fwhm=38.0 * wide, scan=scan, experiment=experiment, space=SPACE)
        f = alone.information
        own = np.linalg.solve(f[:, 9:, 9:], f[:, 9:, :9])
        total = total + f[:, :9, :9] - f[:, :9, 9:] @ own
    unit = 1.0 / np.sqrt(np.einsum("nii->ni", total))
    inverse = np.linalg.inv(total * unit[:, :, None] * unit[:, None, :])
    expected = np.sqrt(np.einsum("nii->ni", inverse)) * unit
    np.testing.assert_allclose(found.together[-1], expected, rtol=1e-3)
    assert (found.together[1:] <= found.together[:-1] * (1.0 + 1e-6)).all()
    assert (found.together <= found.alone * (1.0 + 1e-6)).all()


def test_a_known_damage_power_tells_more_of_damage_than_time(damaged, trio):
    """The order of the reflection tells damage from scale: two curves are better than twice the counts."""
    both = contributions(damaged, (trio[0], trio[2]), 1e5, space=SPACE).together[-1]
    longer = contributions(damaged, trio[:1], 2e5, space=SPACE).together[-1]
    kappa = SPACE.names.index("kappa")
    assert np.median(both[:, kappa] / longer[:, kappa]) < 0.8


def test_table_figure_and_json(damaged, trio):
    found = contributions(damaged, trio[:2], space=SPACE)
    header, rows = contributions_table(found)
    assert header == ("parameter, % of range", "GGG 444 alone", "GGG 888 alone", "+ GGG 888", "gain")
    assert [row[0] for row in rows] == list(SPACE.names)
    assert all(len(row) == len(header) for row in rows)
    assert len(contributions_figure(found).axes[0].patches) == 2 * len(rows)
    assert np.shape(found.to_dict()["std_median_together"]) == (2, 9)


def test_bad_arguments(damaged):
    with pytest.raises(ParameterError, match="one reflection at least"):
        contributions(damaged, ())
    with pytest.raises(ParameterError, match="counts = -1 must be"):
        contributions(damaged, (GGG_444,), -1.0)
