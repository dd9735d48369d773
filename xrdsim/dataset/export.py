"""A dataset as one file for other programs: .npz, HDF5 or CSV, written block by block."""

import importlib
import json
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdsim.dataset.configuration import Part
from xrdsim.dataset.reading import Dataset
from xrdsim.dataset.store import CHUNK_ROWS, ZarrArray, sample_arrays
from xrdsim.errors import OutputError, ParameterError
from xrdsim.files import replacing
from xrdsim.limits import Json


class Format(StrEnum):
    """The kinds of files."""

    NPZ = "npz"
    HDF5 = "hdf5"
    CSV = "csv"


_SUFFIXES = {".npz": Format.NPZ, ".h5": Format.HDF5, ".hdf5": Format.HDF5, ".csv": Format.CSV}


def export(dataset: Dataset, path: str | Path, form: str | None = None) -> Path:
    """Write all rows of a dataset to one file; a few blocks at a time are in memory. All are first read and checked.

    ========  ===================================================================================================
    npz       the arrays of the dataset by their names, and ``configuration`` as JSON text
    hdf5      the same as HDF5 datasets, with units; the configuration is an attribute
    csv       a row a sample: ``train`` or ``test``, the parameters by name, the curve with its angles as names
    ========  ===================================================================================================

    Parameters
    ----------
    dataset : what to write.
    path : the file.
    form : one of ``Format``; ``None`` takes it from the suffix.

    Raises
    ------
    ParameterError
        An unknown format, or none given and an unknown suffix.
    StoreError
        A block is damaged.
    OutputError
        The file cannot be written, or HDF5 is asked for without h5py.
    """
    target = Path(path)
    try:
        chosen = _SUFFIXES[target.suffix.lower()] if form is None else Format(form)
    except (KeyError, ValueError):
        asked = f"suffix {target.suffix!r}" if form is None else f"format {form!r}"
        raise ParameterError(f"{asked} is unknown; choose the format {', '.join(Format)}") from None
    write = {Format.NPZ: _write_npz, Format.HDF5: _write_hdf5, Format.CSV: _write_csv}[chosen]
    if dataset.verify:
        for part in Part:
            for _ in dataset.blocks(part):
                pass  # damage is found before anything is written
    with replacing(target) as temporary:
        write(dataset, temporary)
    return target


def _blocks(dataset: Dataset, part: Part, array: ZarrArray) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    for block in range(dataset.config.blocks(part)):
        rows = dataset.config.rows(part, block)
        yield rows, np.ascontiguousarray(array[rows], dtype="<f4")


def _configuration(dataset: Dataset) -> str:
    return json.dumps(dataset.config.to_dict())


def _write_npz(dataset: Dataset, path: Path) -> None:
    small = {
        "angle": dataset.angle,
        "parameter": np.array(dataset.names),
        "configuration": np.array(_configuration(dataset)),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in small.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, values, allow_pickle=False)
        for part in Part:
            for name, array in sample_arrays(dataset.path, part).items():
                header = {"descr": "<f4", "fortran_order": False, "shape": array.shape}
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array_header_1_0(file, header)
                    for _, values in _blocks(dataset, part, array):
                        file.write(values.data)


def _write_hdf5(dataset: Dataset, path: Path) -> None:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise OutputError(
            "HDF5 needs h5py, which is not installed: pip install 'xrdsim[hdf5]', or choose npz or csv"
        ) from None
    with h5py.File(path, "w") as file:
        file.attrs["configuration"] = _configuration(dataset)
        file.create_dataset("parameter", data=list(dataset.names))
        file.create_dataset("angle", data=dataset.angle).attrs["units"] = "arcsec"
        for part in Part:
            for name, array in sample_arrays(dataset.path, part).items():
                chunks = (min(CHUNK_ROWS, array.shape[0]), *array.shape[1:])
                packing: Json = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
                made = file.create_dataset(name, shape=array.shape, dtype="<f4", chunks=chunks, **packing)
                made.attrs.update({key: str(value) for key, value in array.attrs.items()})
                for rows, values in _blocks(dataset, part, array):
                    made[rows] = values


def _write_csv(dataset: Dataset, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for part in Part:
            arrays = sample_arrays(dataset.path, part)
            curves = arrays.pop(f"{part.prefix}reflectivity")
            params = arrays.pop(f"{part.prefix}parameters")
            if part is Part.TRAIN:
                angles = (f"{angle:.9g}" for angle in dataset.angle)
                file.write(",".join(("part", *dataset.names, *arrays, *angles)) + "\n")
            for block in range(dataset.config.blocks(part)):
                rows = dataset.config.rows(part, block)
                table = np.column_stack([np.asarray(array[rows]) for array in (params, *arrays.values(), curves)])
                number = "%.9g"  # gives back every float32
                np.savetxt(file, table, fmt=[f"{part},{number}", *[number] * (table.shape[1] - 1)], delimiter=",")
