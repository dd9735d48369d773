"""Photograph the page of `xrd app`, after a fit and with a spline: docs/app-light.png and docs/app-dark.png.

python docs/draw_page.py

It needs the extra ``app``, Playwright and Debian's Chromium.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from xrdsim import Scan, simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "app"))
from browsing import Server, chromium

SAMPLE = (0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, -50.0)
HERE = Path(__file__).parent
MINUTES = 60_000.0  # ms


def measured(path):
    """A curve of 701 angles with the noise of counts."""
    scan = Scan(-80.36, 2.009, 701)
    seen = simulate(SAMPLE, scan=scan, fwhm=38, background=2e-4).intensity[0]
    counts = np.random.default_rng(0).poisson(3e5 * seen)
    np.savetxt(path, np.column_stack([scan.angle, counts]), fmt="%.4f %d")


def idle(page):
    """Wait until nothing runs."""
    page.wait_for_timeout(500)
    page.wait_for_function(
        "document.querySelector('button[aria-label^=Cancel]').offsetParent === null", timeout=10 * MINUTES
    )
    page.wait_for_timeout(500)


def fit(page):
    """Press Fit, and wait for what it says."""
    page.locator("body").press("f")
    page.wait_for_selector("text=/fitting, \\d+ s/", timeout=MINUTES)
    idle(page)
    page.mouse.move(5, 815)  # away from what has a hint
    page.wait_for_timeout(1000)
    print(page.locator(".xrd-verdict").inner_text())


def photograph(address):
    """Both pictures."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 820})
        page.goto(address)
        page.wait_for_selector("tr[data-name=Dmax1]", timeout=2 * MINUTES)
        idle(page)
        fit(page)
        page.screenshot(path=HERE / "app-light.png")
        page.get_by_label("Dark or light").click()
        page.get_by_role("checkbox", name="spline", exact=True).click()
        page.wait_for_selector("tr[data-name=c3]", timeout=MINUTES)
        fit(page)
        page.screenshot(path=HERE / "app-dark.png")
        browser.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        curve = Path(folder) / "implanted.xy"
        measured(curve)
        server = Server(curve)
        try:
            photograph(server.address)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
