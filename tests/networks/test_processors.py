"""How a process shares its processors between the network and the simulator."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import numba, torch
from xrdml.networks.processors import fast_training
from xrdsim import simulate
before = torch.get_num_threads()
with fast_training():
    inside = torch.get_num_threads()
    simulate([0.0113, 0.0016, 5400.0, 3300.0, 0.0042, 3600.0, -300.0], rtol_dex=1e-2)
    print(inside, torch.get_num_threads(), numba.get_num_threads())
print(before == torch.get_num_threads())
"""


@pytest.mark.parametrize(("processors", "asked", "network"), [(4, 4, 2), (2, 2, 1), (1, 1, 1), (4, 1, 1)])
def test_the_network_has_half_of_the_processors_whatever_numba_says(processors, asked, network):
    environment = os.environ | {"NUMBA_NUM_THREADS": str(processors), "OMP_NUM_THREADS": str(asked)}
    environment.pop("MKL_NUM_THREADS", None)  # which Dask sets when it starts processes
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(network), str(network), str(processors), "True"]
