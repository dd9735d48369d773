"""The page in a real browser: load, drag, fit, cancel, files of all kinds, tabs, restart, random clicks."""

import random
import re
import statistics
import time
import zipfile
from io import BytesIO

import numpy as np
import pytest
from browsing import Window
from matplotlib.image import imread

LATENCY = 50.0  # ms from the drag to the curve on the screen
READY = "tr[data-name=Dmax1]"


@pytest.fixture(scope="module")
def server(start, measured):
    return start(measured)


@pytest.fixture(scope="module")
def fresh(chrome, server):
    """The session of the server before anything was changed, as text."""
    first = Window(chrome, server)
    first.page.wait_for_selector(READY, timeout=120_000)
    idle(first.page, timeout=420_000)  # kernels are compiled once on a machine
    saved = first.context.request.get(f"{server.base}/export/session.json").text()
    first.close()
    return saved


@pytest.fixture
def page(window, server, fresh):
    """A tab with the measured curve as it was opened, whatever tests before did."""
    tab = window(server).page
    tab.wait_for_selector(READY, timeout=60_000)
    idle(tab)
    drop(tab, ("session.json", fresh))
    tab.wait_for_timeout(500)
    return tab


def idle(page, timeout=120_000):
    """Wait until no job runs."""
    page.wait_for_function(
        "document.querySelector('button[aria-label^=Cancel]').offsetParent === null", timeout=timeout
    )
    page.wait_for_timeout(150)


def value(page, name):
    """The number in the field of an unknown."""
    return float(page.locator(f"tr[data-name={name}] td:nth-child(3) input").input_value())


def chi2(page):
    """What the bar says of the agreement."""
    return float(re.search(r"reduced χ² ([\d.e+]+)", page.locator(".xrd-chi").inner_text())[1])


def press(page, name):
    page.get_by_role("button", name=name, exact=False).first.click()


def apply(page):
    """Take what a dialog says, and wait until it is gone."""
    press(page, "Apply")
    page.locator(".q-dialog").wait_for(state="detached", timeout=60_000)


def drag(page, name="Dmax1", steps=40, first=0.25):
    """Drag a slider with the mouse."""
    box = page.locator(f"tr[data-name={name}] input[type=range]").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + first * box["width"], middle)
    page.mouse.down()
    for i in range(steps):
        page.mouse.move(box["x"] + (first + 0.001 * i) * box["width"], middle)
        page.wait_for_timeout(25)
    page.mouse.up()
    page.wait_for_timeout(250)


def drop(page, *files, folder=False):
    """Hand files to the page as a drop does."""
    script = """([files, folder]) => xrd.drop.send(
        files.map(([name, text]) => new File([text], name)), folder)"""
    page.evaluate(script, [[list(each) for each in files], folder])


def messages(page):
    return page.locator(".q-notification__message").all_inner_texts()


def test_a_drag_is_drawn_at_once_and_undone(page):
    before = value(page, "Dmax1")
    drag(page, steps=6)
    page.evaluate("xrd.latency.length = 0")
    drag(page)
    taken = page.evaluate("xrd.latency")
    assert len(taken) > 20
    assert statistics.median(taken) <= 4.0 * LATENCY, sorted(taken)  # other tests have the cores, too
    assert value(page, "Dmax1") != before
    assert re.search(r"reduced χ² [\d.e+]+\s*[+−][\d.e+]+", page.locator(".xrd-chi").inner_text())
    page.locator("body").press("Control+z")
    page.locator("body").press("Control+z")
    page.wait_for_function(
        f"Math.abs(Number(document.querySelector('{READY} td:nth-child(3) input').value) - {before}) < 1e-4"
    )


@pytest.mark.parametrize("damage", [False, True])
def test_a_drag_is_drawn_where_the_charts_draw_it_after(page, damage):
    """What is sketched over the charts while the mouse is held, against what they draw once it is released."""
    if damage:
        page.get_by_role("checkbox", name="damage", exact=True).click()
        page.wait_for_selector("tr[data-name=kappa]")
        page.wait_for_timeout(300)
    before = picture(page)
    slider = page.locator(f"{READY} input[type=range]").bounding_box()
    middle = slider["y"] + slider["height"] / 2
    page.mouse.move(slider["x"] + 0.25 * slider["width"], middle)
    page.mouse.down()
    page.mouse.move(slider["x"] + 0.6 * slider["width"], middle, steps=8)
    page.wait_for_function("xrd.plots.sketched && Object.keys(xrd.sent).length == 0")
    page.wait_for_timeout(200)
    dragged = picture(page)
    page.mouse.up()
    page.wait_for_function("!xrd.plots.sketched")
    page.wait_for_timeout(200)
    released = picture(page)
    moved, changed = differing(before, dragged), differing(dragged, released)
    assert moved > 0.01
    assert changed < 0.1 * moved, (moved, changed)


def picture(page):
    """The charts as they are on the screen, (height, width, colour)."""
    return imread(BytesIO(page.locator(".xrd-plots").screenshot()))[..., :3]


def differing(one, other):
    """Share of the points of a picture that another one shows in another colour, by a point next to them at most."""
    far = np.abs(one - other).max(axis=2) > 0.25
    near = [np.roll(other, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    far &= np.min([np.abs(one - each).max(axis=2) for each in near], axis=0) > 0.25
    return far.mean()


@pytest.mark.slow
def test_a_drag_takes_fifty_milliseconds_at_most(page):
    drag(page, steps=10)
    page.evaluate("xrd.latency.length = 0")
    drag(page, steps=100)
    taken = page.evaluate("xrd.latency")
    assert statistics.median(taken) <= LATENCY, sorted(taken)


def test_numbers_with_a_decimal_comma_and_limits_and_priors(page):
    field = page.locator("tr[data-name=L1] td:nth-child(3) input")
    field.fill("5 100,5")
    field.press("Enter")
    page.wait_for_function("document.querySelector('tr[data-name=L1] td:nth-child(3) input').value == '5100.5'")
    prior = page.locator("tr[data-name=L1] .prior input")
    prior.fill("5200 ± 100,5")
    prior.press("Enter")
    page.wait_for_function("document.querySelector('tr[data-name=L1] .prior input').value == '5200 ± 100.5'")
    field.fill("five")
    field.press("Enter")
    page.wait_for_selector("text=is no number")
    assert value(page, "L1") == 5100.5
    page.locator("tr[data-name=D01] td:nth-child(3) input").fill("2,5")
    page.locator("tr[data-name=D01] td:nth-child(3) input").press("Enter")
    page.wait_for_selector("text=/Dmax1.* gave way/")
    page.locator("body").press("Control+z")
    page.locator("body").press("Control+z")
    page.locator("body").press("Control+z")


def test_what_is_being_typed_stays_while_the_page_changes(window, page, server):
    """Here by another tab, which moves a slider meanwhile."""
    other = window(server).page
    other.wait_for_selector(READY)
    field = page.locator("tr[data-name=L1] td:nth-child(3) input")
    field.fill("51")
    before = value(page, "L2")
    drag(other, "L2", steps=6, first=0.4)
    page.wait_for_function(f"document.querySelector('tr[data-name=L2] td:nth-child(3) input').value != '{before:g}'")
    assert field.input_value() == "51"
    field.press_sequentially("00,5")
    field.press("Enter")
    page.wait_for_function("document.querySelector('tr[data-name=L1] td:nth-child(3) input').value == '5100.5'")


def test_angles_are_masked_by_a_drag_and_taken_in_again(page):
    box = page.locator(".xrd-curve canvas").first.bounding_box()
    page.locator(".xrd-tools .mask").click()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    page.mouse.up()
    page.wait_for_function("xrd.plots.still.left_out.length == 1")
    assert not all(page.evaluate("xrd.plots.still.used"))
    page.mouse.click(x + 30, y)
    page.wait_for_function("xrd.plots.still.left_out.length == 0")


def test_a_fit_is_cancelled_and_another_one_believed(page, tmp_path):
    drag(page, "L1", steps=4, first=0.5)
    before = value(page, "L1")
    page.locator("body").press("f")
    page.wait_for_selector("text=/fitting, \\d+ s/")
    page.wait_for_timeout(300)
    press(page, "Cancel")
    idle(page)
    assert value(page, "L1") == before
    worse = chi2(page)
    press(page, "Search the whole range")
    page.wait_for_selector("text=/fitting, .* best so far/", timeout=180_000)
    press(page, "End the search and keep")
    idle(page)
    assert chi2(page) < worse
    press(page, "Search the whole range")
    page.wait_for_selector(".xrd-verdict.solved", timeout=180_000)
    assert "noise" in page.locator(".xrd-verdict").inner_text()
    assert "…" in page.locator("tr[data-name=Dmax1] .interval").inner_text()
    assert page.evaluate("xrd.plots.still.bands.band.length") == 4
    press(page, "Save or export")
    with page.expect_download(timeout=60_000) as waiting:
        page.get_by_text("Result folder").click()
    assert waiting.value.suggested_filename == "measured-result.zip"
    waiting.value.save_as(tmp_path / "result.zip")
    with zipfile.ZipFile(tmp_path / "result.zip") as archive:
        files = {"result.json", "fit.png", "profile.csv", "curve.csv"}
        assert {f"measured-result/{name}" for name in files} <= set(archive.namelist())
    for kind, begins in (("PNG", b"\x89PNG"), ("SVG", b"<?xml"), ("PDF", b"%PDF")):
        press(page, "Save or export")
        with page.expect_download(timeout=60_000) as waiting:
            page.get_by_text(f"Figure, {kind}").click()
        assert waiting.value.path().read_bytes().startswith(begins)


def test_command_line_and_script_are_shown(page):
    press(page, "Effort and seed of the search")
    page.get_by_label("seed", exact=True).fill("5")
    page.get_by_label("seed", exact=True).press("Tab")
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    for name, word in (("Command line", "xrd fit measured.xy"), ("Python script", "xrdsim.fit.fit(")):
        press(page, "Save or export")
        page.get_by_text(name).click()
        shown = page.locator(".xrd-code").inner_text()
        assert word in shown
        assert "seed 5" in shown or "seed=5" in shown
        page.keyboard.press("Escape")
        page.locator(".xrd-code").wait_for(state="detached")


def test_a_spline_has_points_to_drag(page):
    page.get_by_role("checkbox", name="spline", exact=True).click()
    page.wait_for_selector("tr[data-name=c3]", timeout=120_000)
    press(page, "Points and end of the spline")
    page.get_by_label("control points; Fit chooses their number itself").fill("12")
    apply(page)
    page.wait_for_function("xrd.plots.last.points.length == 10")  # two at a smooth end are held
    before = value(page, "c3")
    x, y = page.evaluate("""() => { const [z, e] = xrd.plots.last.points[2];
        return xrd.plots.profile.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [z, e]); }""")
    box = page.locator(".xrd-profile canvas").first.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + x, box["y"] + y - 25, steps=5)
    page.wait_for_timeout(200)
    page.mouse.up()
    page.wait_for_timeout(300)
    page.wait_for_function(f"Number(document.querySelector('tr[data-name=c3] td:nth-child(3) input').value) > {before}")
    for _ in range(3):
        page.locator("body").press("Control+z")
    page.wait_for_selector(READY)
    assert not page.get_by_role("checkbox", name="spline", exact=True).is_checked()


def test_damage_is_a_switch(page):
    switch = page.get_by_role("checkbox", name="damage", exact=True)
    switch.click()
    page.wait_for_selector("tr[data-name=kappa]")
    switch.click()
    page.wait_for_selector("tr[data-name=kappa]", state="detached")
    page.locator("body").press("Control+z")
    page.wait_for_selector("tr[data-name=kappa]")
    assert switch.is_checked()


def test_shift_drags_ten_times_finer(page):
    drag(page, "L1", steps=2, first=0.5)
    before = value(page, "L1")
    box = page.locator("tr[data-name=L1] input[type=range]").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 0.502 * box["width"], middle)
    page.mouse.down()
    for part in (0.52, 0.55, 0.6, 0.602):
        page.mouse.move(box["x"] + part * box["width"], middle)
        page.wait_for_timeout(50)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_timeout(300)
    assert 0.007 * 6500.0 < value(page, "L1") - before < 0.013 * 6500.0  # a tenth of a tenth of its range


def test_files_that_the_desktop_drops(page, measured):
    """As the browser itself hands them over, by its protocol."""
    driver = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(measured)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        driver.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})
        page.wait_for_timeout(100)
    page.wait_for_function("document.querySelectorAll('[role=tab]').length == 2", timeout=30_000)


def test_bad_files_leave_the_page_alive(page):
    drop(
        page,
        ("<img src=x onerror=window.hacked=1>.xy", "not a curve"),
        ("../../etc/evil.xy", ""),
        ("bad.json", "{"),
        ("no.cif", "data_"),
    )
    page.wait_for_function("document.querySelectorAll('.q-notification__message').length >= 4", timeout=30_000)
    told = " ".join(messages(page))
    assert "<img src=x" in told or "_img src=x" in told
    assert page.evaluate("window.hacked === undefined")
    drag(page, steps=4)


def test_a_file_with_two_scans_asks_for_one(page, measured):
    lines = measured.read_text().splitlines()
    drop(page, ("two.xy", "\n".join([*lines, "# the second", *lines])))
    page.wait_for_selector("text=two.xy leaves something open")
    page.get_by_label("number of the scan in the file").fill("2")
    apply(page)
    page.wait_for_function("document.querySelectorAll('[role=tab]').length == 2")


def test_reflection_and_several_curves(page, measured):
    drop(page, ("second.xy", measured.read_text()))
    page.wait_for_function("document.querySelectorAll('[role=tab]').length == 2", timeout=30_000)
    press(page, "Crystal, reflection and geometry")
    page.get_by_text("More than one is taken for GGG 444").wait_for()
    page.get_by_label("hkl", exact=True).fill("888")
    page.get_by_label("hkl", exact=True).press("Enter")
    page.locator(".q-dialog").wait_for(state="detached", timeout=60_000)
    page.wait_for_selector("text=GGG 888")
    page.get_by_text("More than one is taken for").wait_for(state="detached")
    page.get_by_text("share the profile").wait_for()
    page.locator("[role=tab]").first.click()
    page.wait_for_selector("text=GGG 444")
    drag(page, steps=4)
    press(page, "Close second.xy")
    page.wait_for_function("document.querySelectorAll('[role=tab]').length == 1")


def test_two_tabs_show_the_same(window, server):
    both = window(server)
    one, other = both.page, both.open()
    for each in (one, other):
        each.wait_for_selector(READY)
    before = value(one, "L2")
    drag(one, "L2", steps=10, first=0.4)
    for _ in range(300):  # the last of the drag may still be on its way
        if before != value(one, "L2") == value(other, "L2"):
            break
        other.wait_for_timeout(100)
    assert before != value(one, "L2") == value(other, "L2")


def test_dark_narrow_and_large_type(window, server):
    small = window(server, viewport={"width": 640, "height": 400}, color_scheme="dark").page
    small.wait_for_selector(READY)
    small.wait_for_function("document.body.classList.contains('body--dark')")
    assert small.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


def test_a_session_goes_on_after_a_restart(window, server, start, tmp_path):
    first = window(server)
    first.page.wait_for_selector(READY)
    saved = first.context.request.get(f"{server.base}/export/session.json").body()
    path = tmp_path / "session.json"
    path.write_bytes(saved)
    other = start(path)
    again = window(other)
    again.page.wait_for_selector(READY, timeout=60_000)
    idle(again.page)
    assert again.context.request.get(f"{other.base}/export/session.json").body() == saved
    again.close()
    assert other.stop() == (0, "")


def test_a_folder_becomes_a_series(window, start, measured):
    own = start()
    tab = window(own)
    page = tab.page
    page.get_by_text("Drop a measured rocking curve here").wait_for()
    drop(page, ("a.xy", measured.read_text()), ("b.xy", "nothing"), folder=True)
    page.wait_for_selector(".xrd-series button:has-text('a.xy')", timeout=180_000)
    page.wait_for_selector(".xrd-series td:has-text('b.xy')")
    page.get_by_text("series.csv").wait_for(timeout=60_000)
    page.locator(".xrd-series button").first.click()
    page.wait_for_selector(READY)
    tab.close()
    code, errors = own.stop()
    assert code == 0
    assert errors == ""


def clicks(page, seconds, seed):
    """Click on whatever can be clicked, type and drag, but close no window."""
    rng = random.Random(seed)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        kind = rng.random()
        if kind < 0.6:
            found = page.locator("button:visible, input[type=checkbox]:visible, [role=tab]:visible, .q-item:visible")
            count = found.count()
            if count:
                try:
                    found.nth(rng.randrange(count)).click(timeout=400, no_wait_after=True)
                except Exception:  # covered, or gone meanwhile
                    page.keyboard.press("Escape")
        elif kind < 0.8:
            page.mouse.click(rng.randrange(20, 1340), rng.randrange(60, 740))
        elif kind < 0.9:
            page.keyboard.press(rng.choice(["Escape", "Tab", "Enter", "Control+z", "Control+Shift+z", "f", "p"]))
        else:
            page.mouse.wheel(0, rng.choice([-300, 300]))


def random_clicks(window, server, seconds):
    own = window(server)
    tab = own.page
    tab.wait_for_selector(READY, timeout=60_000)
    tab.evaluate("for (const input of document.querySelectorAll('input[type=file]')) input.click = () => {}")
    clicks(tab, seconds, seed=1)
    tab.keyboard.press("Escape")
    own.close()
    code, errors = server.stop()
    assert code == 0
    assert errors == ""


def test_some_seconds_of_random_clicks(window, start, measured):
    random_clicks(window, start(measured), 4.0)


@pytest.mark.slow
def test_a_minute_of_random_clicks(window, start, measured):
    random_clicks(window, start(measured), 60.0)
