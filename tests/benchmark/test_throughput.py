"""The counted operations are those of the kernels' own source, run on numbers that count."""

import operator

import numpy as np
import pytest

from xrdsim.benchmark import flops
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.forward.prepare import prepare
from xrdsim.kernels import convolve, peak, reflectivity, step
from xrdsim.kernels.batch import make_slopes
from xrdsim.kernels.derivatives import contributions, differentials, jacobian
from xrdsim.kernels.reflectivity import BLOCK, GROUP, MATRIX, OPTICS, PHASES, WORK
from xrdsim.kernels.slopes import LEAST, at_least, fill_steps_and_slopes, strains_of
from xrdsim.kernels.steps import Steps, count_steps, fill_steps

THIN = np.array([0.012, 0.004, 90.0, 70.0, 0.004, 80.0, -300.0])
SHORT = Scan(0.0, 4.0, 20)


class Counted:
    """A number that counts the operations on those of its kind that vary from angle to angle."""

    __slots__ = ("value", "varies")
    done = 0

    def __init__(self, value, varies=False):
        self.value = value.value if isinstance(value, Counted) else value
        self.varies = varies

    def __neg__(self):
        return Counted(-self.value, self.varies)

    def __abs__(self):
        return Counted(abs(self.value), self.varies)

    def __pow__(self, n):
        return Counted(self.value**n, self.varies)

    def __lt__(self, other):
        return self.value < getattr(other, "value", other)

    def __gt__(self, other):
        return self.value > getattr(other, "value", other)


def counting(function, swapped):
    def run(self, other):
        value, varies = (other.value, other.varies) if type(other) is Counted else (other, False)
        varies |= self.varies
        Counted.done += varies
        return Counted(function(value, self.value) if swapped else function(self.value, value), varies)

    return run


for name in ("add", "sub", "mul", "truediv"):
    setattr(Counted, f"__{name}__", counting(getattr(operator, name), False))
    setattr(Counted, f"__r{name}__", counting(getattr(operator, name), True))


@pytest.fixture
def plain(monkeypatch):
    """Turn the kernels to plain Python; the counting functions, which compile some, come before."""

    def turn():
        for module in (step, reflectivity, contributions, differentials, jacobian, convolve):
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    monkeypatch.setattr(module, name, value.py_func)

    return turn


class Varying(np.ndarray):
    """Numbers that count; so do constants put among them."""

    def __setitem__(self, at, value):
        super().__setitem__(at, Counted(value, True) if isinstance(value, float) else value)


def varying(values):
    """The same numbers, which count."""
    numbers = np.array([Counted(float(x), True) for x in np.ravel(values)], object)
    return numbers.reshape(np.shape(values)).view(Varying)


def counted(function, *arguments):
    """Operations of a call."""
    Counted.done = 0
    function(*arguments)
    return Counted.done


@pytest.mark.parametrize(
    ("name", "angles", "coefficients", "expected"),
    [
        ("even_functions", 2, 1, flops.EVEN_FUNCTIONS),
        ("double", 6, 0, flops.DOUBLE),
        ("matrix_of_step", 12, 5, flops.MATRIX_OF_STEP),
        ("generators", 8, 5, flops.GENERATORS),
    ],
)
def test_operations_of_a_step(plain, name, angles, coefficients, expected):
    plain()
    arguments = [*varying(np.full(angles, 0.3)), *(Counted(0.2) for _ in range(coefficients))]
    assert counted(getattr(step, name), *arguments) == expected


def test_operations_of_loops(plain):
    plain()

    def block(rows):
        return varying(np.full(rows * BLOCK, 0.3))

    he = [Counted(0.2) for _ in range(5)]
    table, sigma, work, rows, matrix = (
        block(OPTICS),
        block(4),
        block(WORK),
        block(contributions.GENERATORS),
        block(8),
    )
    sources = block(contributions.SOURCES // BLOCK)
    pulled = (sigma, rows, matrix, he[0], he[1], sources, 0, BLOCK)
    total, values = varying(np.full((1, contributions.SOURCE), 0.3)), varying(np.ones((2, BLOCK, 2 * MATRIX, 2)))
    loops = (
        (flops.MATRIX_OF_STEP + flops.PRODUCT, reflectivity.advance, (table, sigma, work, matrix, *he, BLOCK)),
        (flops.PULL_BACK, contributions.pull_back, pulled),
        (flops.PULL_BACK_REST, contributions.pull_back_rest, pulled),
        (flops.PULL_BACK_ALL, contributions.pull_back_all, pulled),
        (flops.PULL_BACK_ALL_REST, contributions.pull_back_all_rest, pulled),
        (flops.COUPLING, contributions.fill_generators_of_coupling, (table, work, rows, *he, BLOCK)),
        (flops.STORE, differentials.store_column, (matrix, total, 0, 0, values[0])),
        (
            flops.STORE_WHOLE + flops.STORE_BELOW,
            differentials.store_whole,
            (matrix, sigma, total, 0, 0, values[0], values[1]),
        ),
    )
    for expected, function, arguments in loops:
        assert counted(function, *arguments) == BLOCK * expected, function


def optics_that_count(optics):
    return optics._replace(
        table=varying(optics.table), substrate=varying(optics.substrate), below=varying(optics.below)
    )


def short_model(damaged=False):
    return prepare(SHORT, Experiment(rtol_dex=1e-2), cluster=np.array([2.0, 33.0]), thickness=1000.0, damaged=damaged)


def test_operations_of_a_curve(plain):
    model = short_model()
    counts = np.empty(model.profile.segments(), np.int64)
    steps = Steps(*np.empty((5, count_steps(THIN, model.profile, model.layer, model.accuracy, counts))))
    count = fill_steps(THIN, model.profile, model.layer, model.accuracy, counts, steps)
    coarse = (len(model.optics.table) * BLOCK + GROUP) * 2 * MATRIX
    sizes = ((WORK * BLOCK,), (2, MATRIX * BLOCK), (coarse,), (PHASES * GROUP * 2 * MATRIX,))
    out = np.empty(model.optics.grid + len(model.optics.cluster_first), object)
    expected = flops.curve_operations(THIN, model)
    plain()
    spaces = [varying(np.ones(size)) for size in sizes]
    optics = optics_that_count(model.optics)
    done = counted(reflectivity.reflect, optics, steps, count, optics.substrate, *spaces, out)
    assert done == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("damage", [(), (0.3, 0.5)])
def test_operations_of_derivatives(plain, damage):
    p = np.array([*THIN, *damage])
    model = short_model(damaged=bool(damage))
    counts = np.empty(model.profile.segments(), np.int64)
    count_steps(p, model.profile, model.layer, model.accuracy, counts)
    at_least(LEAST, counts)
    bound = int(counts.sum())
    steps = Steps(*np.empty((5, bound)))
    slopes = make_slopes(bound, len(p), model.layer)
    fill_steps_and_slopes(p, model.profile, model.layer, counts, steps, slopes)
    space = jacobian.tangents(bound, len(counts), len(p), model.optics)
    names = ("work", "generators", "sources", "total", "coarse", "element", "whole", "whole_element", "change")
    space = space._replace(**{name: varying(getattr(space, name)) for name in names})
    out = np.empty((1 + len(p), model.optics.grid + len(model.optics.cluster_first)), object)
    block = varying(np.ones((2, MATRIX * BLOCK)))
    optics = optics_that_count(model.optics)
    expected, strains = flops.derivative_operations(p, model), strains_of(model.layer, len(p))
    plain()
    arguments = (optics, optics.substrate, counts, steps, slopes, bound, block, space, out[0], out[1:], strains)
    done = counted(jacobian.reflect_tangents, *arguments)
    assert done == pytest.approx(expected, rel=1e-3)


def test_operations_of_the_convolution(plain):
    nodes = instrument_nodes(SHORT, GGG_444, narrowest=30.0, widest=30.0, zero=0.0, thickness=1000.0)
    lens = convolve.blur(nodes)
    lens = lens._replace(weighted=varying(lens.weighted))
    out = varying(np.zeros((1, nodes.points)))
    plain()
    done = counted(convolve.convolve, varying(np.ones((1, len(nodes.angle)))), nodes, 12.0, 0.0, 0, lens, out)
    assert done + 2 * nodes.points == pytest.approx(flops.convolution_operations(nodes, 12.0), rel=1e-3)


def test_chains_of_multiply_adds():
    out = np.empty(2)
    peak.multiply_add(np.ones(2), 3, out)
    np.testing.assert_allclose(out, peak.CHAINS * BLOCK)
