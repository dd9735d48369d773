"""What drawing, simulating and writing of a dataset take on a graphics card: ``python benchmarks/gpu_gen.py ROWS``.

Threads work side by side, so that their seconds add up to more than have passed. "on the card" is a part of what
simulating takes, and the only one that they take turns in.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from threading import Lock

import xrdsim
from xrdsim.dataset import generation, samplers, store
from xrdsim.forward import cuda


def main(n: int) -> None:
    spent: dict[str, float] = {}
    alone = Lock()

    def timed(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def inner(*arguments: object, **choices: object) -> object:
            begun = time.perf_counter()
            try:
                return function(*arguments, **choices)
            finally:
                with alone:
                    spent[name] = spent.get(name, 0.0) + time.perf_counter() - begun

        return inner

    for name, module, attribute in (
        ("plan", generation, "make_plan"),
        ("draw", samplers.Plan, "draw"),
        ("simulate and round", generation, "stored_curves"),
        ("on the card", cuda, "_curves"),
        ("write", store, "write_block"),
    ):
        setattr(module, attribute, timed(name, getattr(module, attribute)))
    begun, came = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        xrdsim.generate(
            f"{folder}/d.zarr",
            n=n,
            device="cuda",
            progress=lambda done, _: came.append((time.perf_counter() - begun, done)),
        )
    (at, done), (end, every) = came[0], came[-1]
    print(f"generate(n={n}): first rows after {at:.1f} s, then {(every - done) / (end - at):,.0f} rows/s")
    print("seconds of all threads together: " + ", ".join(f"{name} {each:.1f}" for name, each in spent.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
