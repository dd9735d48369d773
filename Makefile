# make demo: from nothing to a strain profile, in 5 to 15 minutes.   make test: all tests but those marked slow, which
# .venv/bin/python -m pytest -m slow runs: longer clicks on the page, and fits of measured curves that take minutes.
.PHONY: demo test lint wheel clean
.SUFFIXES:

PYTHON ?= python3
XRD := .venv/bin/xrd
SAMPLE := --param Dmax1=0.0113 --param D01=0.0016 --param L1=5400 --param Rp1=3300 --param D02=0.0042 --param L2=3600 --param Rp2=-300

.venv/installed: pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -e '.[test]'
	touch $@

demo: .venv/installed
	rm -rf demo && mkdir demo
	$(XRD) simulate $(SAMPLE) --fwhm 40 --background 1e-4 --counts 500000 --text demo/measured.xy -o demo/truth.npz --plot demo/truth.png
	$(XRD) gen --adaptive -n 16000 -o demo/dataset.zarr
	$(XRD) sensitivity demo/dataset.zarr --samples 500 -o demo/sensitivity.npy
	$(XRD) train demo/dataset.zarr --weights demo/sensitivity.npy --epochs 14 -o demo/run
	$(XRD) predict demo/measured.xy --model demo/run -o demo/result
	$(XRD) fit demo/measured.xy -o demo/fit
	@echo "look at demo/result/fit.png, demo/fit/fit.png, demo/sensitivity.png and demo/run/loss.png"

# a process for each core, which takes whole files, since fixtures belong to files, in the order of their names: those
# with few tests are not the quick ones, and one that comes last leaves the other cores idle
test: .venv/installed
	.venv/bin/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# builds the wheel, installs it alone in a fresh environment and runs the main commands on a tiny size
wheel: .venv/installed
	rm -rf build/wheel && mkdir -p build/wheel
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet build/wheel/*.whl
	cd build/wheel && venv/bin/xrd info
	cd build/wheel && venv/bin/xrd simulate $(SAMPLE) --counts 500000 --background 1e-4 --text curve.xy
	cd build/wheel && venv/bin/xrd gen -n 300 --test-rows 60 --rtol-dex 1e-3 -o data.zarr
	cd build/wheel && venv/bin/xrd train data.zarr --epochs 1 -o run
	cd build/wheel && venv/bin/xrd predict curve.xy --model run -o result && test -s result/result.json
	cd build/wheel && venv/bin/xrd predict curve.xy --refine -o shipped && test -s shipped/result.json

clean:
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
