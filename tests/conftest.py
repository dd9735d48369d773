"""Shared data: reference curves, measured curves and vectors of the prior."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as xrdml does: before the first OpenMP library is loaded
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the others have the other cores

import numba
import numpy as np
import pytest

from xrdsim.forward.prior import draw_prior

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def reference():
    """Independent reference curves, where they are at hand."""
    path = SHARED / "reference" / "reference_curves.npz"
    if not path.exists():
        pytest.skip("reference curves are not at hand")
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="session")
def shared_file():
    """Arrays of a file of reference data by its name, where it is at hand."""

    def read(name):
        path = SHARED / "reference" / name
        if not path.exists():
            pytest.skip("reference data are not at hand")
        with np.load(path) as file:
            return dict(file)

    return read


@pytest.fixture(scope="session")
def measured_folder():
    """Folder of measured curves, where it is at hand."""
    path = SHARED / "measured"
    if not path.is_dir():
        pytest.skip("measured curves are not at hand")
    return path


@pytest.fixture(scope="session")
def prior():
    """32 vectors of the prior, (32, 7)."""
    return draw_prior(32, rng=np.random.default_rng(7))


@pytest.fixture(scope="session")
def demonstration():
    """A well-behaved sample, (7,)."""
    return np.array([0.01305, 0.0017, 5800.0, 3500.0, 0.004845, 4000.0, -500.0])


@pytest.fixture(scope="module")
def one_thread():
    """Numba on one thread: small fits are faster so."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture
def few_held(monkeypatch):
    """Trainings on fresh curves validate and test on 64 of them."""
    import xrdml.training.rows

    monkeypatch.setattr(xrdml.training.rows, "HELD", 64)
