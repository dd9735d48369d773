"""The house: a folder imports only from lower floors, a file of it in no circle, also inside functions."""

import ast
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = [
    ["xrdsim.errors", "xrdsim.units", "xrdsim.compiling"],
    ["xrdsim._jit", "xrdsim.limits", "xrdsim.storage"],
    ["xrdsim.files"],
    ["xrdsim.profiles", "xrdsim.experiment", "xrdsim.html", "xrdsim.plotting"],
    ["xrdsim.curves", "xrdsim.kernels"],
    ["xrdsim.forward"],
    ["xrdsim.observation"],
    ["xrdsim.information", "xrdsim.benchmark", "xrdsim.fit"],
    ["xrdsim.dataset"],
    ["xrdsim.commands"],
    ["xrdsim"],
    ["xrdml.data"],
    ["xrdml.networks"],
    ["xrdml.inference"],
    ["xrdml.evaluation"],
    ["xrdml.training"],
    ["xrdml.study"],
    ["xrdml.app"],
    ["xrdml"],
    ["xrdml.commands"],
    ["xrdml.__main__", "cli"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MOST_FILES = 15
MOST_LINES = 400
HEAVY = {"numpy", "numba", "torch", "zarr", "dask", "matplotlib", "scipy", "xrdsim", "xrdml"}


def modules():
    """Name and path of every module of the project."""
    found = {"cli": ROOT / "cli.py"}
    for package in ("xrdsim", "xrdml"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


NAMES = modules()


def room(name):
    """The folder of a module, or the module itself where it lies in no folder: what has a floor."""
    return ".".join(name.split(".")[:2])


def imports(path):
    """(module, at top level) of every import of a file from anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in NAMES else node.module), id(node) in top


def of_the_house(path):
    return [name for name, _ in imports(path) if name.split(".")[0] in ("xrdsim", "xrdml", "cli")]


def test_every_folder_has_a_floor():
    assert {room(name) for name in NAMES} == set(FLOOR)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_imports_come_from_lower_floors(name):
    for imported in of_the_house(NAMES[name]):
        if room(imported) != room(name):
            assert FLOOR[room(imported)] < FLOOR[room(name)], (
                f"{name} imports {imported} from the same or a higher floor"
            )


def test_no_folder_imports_in_a_circle():
    """But a method may call upon what is made for its record, such as the one that saves it."""
    early = {name: {other for other, top in imports(path) if top and other in NAMES} for name, path in NAMES.items()}
    graphlib.TopologicalSorter({name: others - {name} for name, others in early.items()}).prepare()  # raises CycleError


def test_no_private_name_leaves_its_folder():
    for name, path in NAMES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and room(node.module) != room(name):
                private = [alias.name for alias in node.names if alias.name.startswith("_") and alias.name != "_jit"]
                assert not private or node.module.split(".")[0] not in ("xrdsim", "xrdml"), f"{name}: {private}"


def test_folders_and_files_are_small():
    for folder in {path.parent for path in NAMES.values()}:
        assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder
    for name, path in NAMES.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, name


def test_the_simulator_knows_nothing_of_learning():
    for name, path in NAMES.items():
        if name.startswith("xrdsim"):
            learning = {module.split(".")[0] for module, _ in imports(path)} & {"torch", "xrdml"}
            assert not learning or name.endswith(".tensors"), name  # which hands results over


def test_only_commands_know_the_command_line():
    for name, path in NAMES.items():
        if not room(name).endswith(".commands"):
            assert not {module.split(".")[0] for module, _ in imports(path)} & {"typer", "rich"}, name
            assert not [module for module in of_the_house(path) if ".commands" in module] or name in (
                "cli",
                "xrdml.__main__",
            )


def test_the_command_line_starts_light():
    for name, path in NAMES.items():
        if room(name).endswith(".commands"):
            top = {module for module, at_top in imports(path) if at_top and not module.startswith("xrdsim.commands")}
            light = {"xrdsim.compiling", "xrdsim.errors"} | {each for each in top if each.startswith("xrdml.commands")}
            assert not {module.split(".")[0] for module in top - light} & HEAVY, name
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
    assert {"__version__", *module.__all__} <= set(dir(module))
    for name in (*module.__all__, "__version__"):
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


def test_only_the_terminal_prints():
    for name, path in NAMES.items():
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        printed = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
        assert not printed, f"{name} prints"
