"""The page in Debian's Chromium: a server of its own for each file of tests, a browser, and what both complain of."""

import numpy as np
import pytest
from browsing import Server, Window, chromium, needed

SAMPLE = [0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, -50.0]


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A noisy curve of 701 angles as a file of text."""
    from xrdsim import Scan, simulate

    scan = Scan(-80.36, 2.009, 701)
    seen = simulate(SAMPLE, scan=scan, fwhm=38, background=2e-4).intensity[0]
    counts = np.random.default_rng(0).poisson(3e5 * seen)
    path = tmp_path_factory.mktemp("curves") / "measured.xy"
    np.savetxt(path, np.column_stack([scan.angle, counts]), fmt="%.4f %d")
    return path


@pytest.fixture
def session(measured):
    """What the page holds once the curve is opened."""
    from xrdml.app.model.session import Session

    made = Session()
    made.add("measured.xy", measured.read_bytes())
    yield made
    made.close()


@pytest.fixture(scope="module")
def start():
    """Starts servers, and stops them all."""
    servers = []

    def started(*arguments):
        servers.append(Server(*arguments))
        return servers[-1]

    yield started
    for each in servers:
        each.stop()


@pytest.fixture(scope="module")
def chrome():
    """A browser."""
    if missing := needed():
        pytest.skip(f"THE PAGE IS NOT TESTED IN A BROWSER: {', '.join(missing)} is missing")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=chromium(), args=options)
        yield browser
        browser.close()


@pytest.fixture
def window(chrome):
    """Opens tabs, and looks whether their consoles stayed quiet."""
    opened = []

    def made(server, **options):
        opened.append(Window(chrome, server, **options))
        return opened[-1]

    yield made
    for each in opened:
        each.close()
        assert not each.complaints
