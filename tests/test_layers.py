"""The house: a file imports only from lower floors, also inside functions."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = [
    ["xrdsim.errors", "xrdsim.units", "xrdsim.compiling"],
    ["xrdsim._jit", "xrdsim.storage", "xrdsim.dataset.cluster", "xrdsim.commands.terminal", "xrdsim.limits"],
    [
        "xrdsim.files",
        "xrdsim.dataset.lock",
        "xrdsim.profiles.space",
        "xrdsim.experiment.reflection",
        "xrdsim.curves.columns",
    ],
    ["xrdsim.curves.diffractometers", "xrdsim.curves.text", "xrdsim.html"],
    [
        "xrdsim.curves.curve",
        "xrdsim.profiles.tables",
        "xrdsim.profiles.files",
        "xrdsim.kernels.strain",
        "xrdsim.dataset.configuration",
    ],
    [
        "xrdsim.kernels.step",
        "xrdsim.kernels.film",
        "xrdsim.kernels.steps",
        "xrdsim.kernels.convolve",
        "xrdsim.dataset.grid",
    ],
    ["xrdsim.kernels.reflectivity", "xrdsim.kernels.slopes"],
    ["xrdsim.kernels.contributions", "xrdsim.kernels.cuda", "xrdsim.kernels.peak", "xrdsim.forward.optics"],
    ["xrdsim.kernels.jacobian"],
    ["xrdsim.kernels.batch", "xrdsim.kernels.observe", "xrdsim.kernels.cuda_jacobian"],
    ["xrdsim.forward.nodes", "xrdsim.forward.resample", "xrdsim.forward.cuda"],
    ["xrdsim.forward.model", "xrdsim.benchmark.xrayutilities"],
    ["xrdsim.forward.prior", "xrdsim.forward.derivatives", "xrdsim.benchmark.flops"],
    ["xrdsim.dataset.store", "xrdsim.information.fisher", "xrdsim.benchmark.throughput"],
    ["xrdsim.dataset.reading"],
    ["xrdsim.information.sensitivity", "xrdsim.dataset.integrity", "xrdsim.dataset.export"],
    ["xrdsim.dataset.samplers", "xrdsim.dataset.fresh"],
    ["xrdsim.dataset.generation", "xrdsim.plotting", "xrdsim.fit.points"],
    ["xrdsim.fit.problem"],
    ["xrdsim.fit.refine"],
    ["xrdsim.fit.search", "xrdsim.fit.posterior", "xrdsim.fit.likelihood", "xrdsim.fit.derived"],
    ["xrdsim.fit.result", "xrdsim.fit.earlier"],
    ["xrdsim.fit.fitting", "xrdsim.fit.tables"],
    ["xrdsim.fit.series", "xrdsim.fit.figures"],
    ["xrdsim.fit.page"],
    ["xrdsim.dataset.figures"],
    ["xrdsim"],
    ["xrdml.training.metrics"],
    [
        "xrdml.networks.processors",
        "xrdml.networks.losses",
        "xrdml.training.physics",
        "xrdml.data.ranges",
        "xrdml.networks.flows",
        "xrdml.evaluation.calibration",
    ],
    ["xrdml.data.measurement", "xrdml.training.muon"],
    ["xrdml.networks.nets", "xrdml.data.source"],
    ["xrdml.networks.checkpoint"],
    ["xrdml.training.reconstruction", "xrdml.training.rows", "xrdml.training.correction"],
    ["xrdml.training.objective", "xrdml.training.finetuning"],
    ["xrdml.inference.starts", "xrdml.inference.pilot", "xrdml.networks.onnx"],
    ["xrdml.evaluation.errors", "xrdml.inference.prediction", "xrdml.evaluation.holdout"],
    ["xrdml.training.train", "xrdml.evaluation.solving", "xrdml.evaluation.unlike"],
    ["xrdml.evaluation.evaluation", "xrdml.study.methods", "xrdml.study.test_curves", "xrdml.study.statistics"],
    ["xrdml.study.costs"],
    ["xrdml.study.study"],
    ["xrdml.study.report"],
    ["xrdml.evaluation.figures"],
    ["xrdml.evaluation.report"],
    ["xrdml"],
    ["xrdml.commands.app"],
    ["xrdml.__main__"],
    ["cli"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
HEAVY = {"numpy", "numba", "torch", "zarr", "dask", "matplotlib", "scipy", "xrdsim", "xrdml"}


def modules():
    """Name and path of every module of the project."""
    found = {"cli": ROOT / "cli.py"}
    for package in ("xrdsim", "xrdml"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if path.name != "__init__.py" or name.count(".") == 0}


def imports(path):
    """(module, at top level) of every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in FLOOR else node.module), id(node) in top


def test_every_module_has_a_floor():
    assert set(modules()) == set(FLOOR)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_come_from_lower_floors(name):
    for imported, _ in imports(modules()[name]):
        if imported.split(".")[0] in ("xrdsim", "xrdml", "cli"):
            assert FLOOR[imported] < FLOOR[name], f"{name} imports {imported} from the same or a higher floor"


def test_the_simulator_knows_nothing_of_learning():
    for name, path in modules().items():
        if name.startswith("xrdsim"):
            assert not {module.split(".")[0] for module, _ in imports(path)} & {"torch", "typer", "xrdml"}


def test_the_command_line_starts_light():
    top = {module.split(".")[0] for module, at_top in imports(ROOT / "xrdml" / "commands" / "app.py") if at_top}
    assert not top & HEAVY
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, cli; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"numpy", "numba", "torch", "zarr", "dask"} & set(loaded.stdout.split())


@pytest.mark.parametrize("package", ["xrdsim", "xrdml"])
def test_public_names_are_found(package):
    module = importlib.import_module(package)
    assert set(module.__all__) == set(module._HOMES)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


def test_only_the_terminal_prints():
    for name, path in modules().items():
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        printed = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
        assert not printed, f"{name} prints"
