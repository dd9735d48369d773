"""The dataset on disk: a Zarr v3 group that xarray opens.

====================== ============================ =========================================================
parameters             (sample, parameter) float32  what was simulated, in the order and units of the table
reflectivity           (sample, angle) float32      its curve, seen by a narrow base instrument
density                (sample,) float32            sampling density of the row relative to the prior's
test_parameters, …     (test_sample, …) float32     the same for test rows, drawn from the prior
angle, parameter       coordinates                  angle [arcsec] of the scan continued at both ends; names
block_checksum         (block,) uint32              CRC-32 of a block's bytes, 0 until it is completely written
test_block_checksum    (test_block,) uint32
====================== ============================ =========================================================

A block of rows is one shard of either array, is written at once and then marked by its checksum. The attributes hold
the whole ``Configuration``; the consolidated metadata is written when every block is. This module knows neither
how the rows are made nor what runs the blocks.
"""

import json
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import BloscCodec, ZstdCodec

from xrdsim.dataset.configuration import Configuration, Part
from xrdsim.errors import OutputError, StoreError, XrdError
from xrdsim.limits import Json
from xrdsim.storage import failures, is_remote, location, object_sizes, read_files, remedy, remove_all

SCHEMA = "xrdsim-dataset"
SCHEMA_VERSION = 1

CHUNK_ROWS = 256
"""Larger blocks hold a multiple of so many rows; up to four times as many curves are compressed together."""

MANTISSA_BITS = 12
"""Kept of the stored curves: a rounding of at most 5.3e-5 dex, and half the size on disk."""

REPAIR = "`xrd verify` lists all damage, and `xrd append DATASET -n 0` makes anew what is damaged"
"""What to do where a dataset is not what was written."""

ZarrArray = zarr.Array[Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a dataset: params (n, 7 or 9), reflectivity (n, angle) and sampling density (n,), float32."""

    params: Floats
    reflectivity: Floats
    density: Floats


def unreadable(error: Exception) -> str:
    """Why something could not be read, for a sentence."""
    details = str(error).splitlines()[0] if str(error) else "no details"
    return f"cannot be read ({type(error).__name__}: {details})"


def mismatch(checksum: int, marker: int) -> str:
    """What is wrong with a block of this checksum, for a sentence."""
    return f"has the checksum {checksum:08x}, {marker:08x} was stored"


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn errors of the operating system or the object storage while a dataset is written into OutputError."""
    try:
        yield
    except XrdError:
        raise
    except failures() as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{path} cannot be written: {reason}; {remedy(path)}; `xrd append {path} -n 0`, or the same `xrd gen` with "
            "--resume, continues what was begun"
        ) from error


def is_ours(path: str | Path) -> bool:
    """Whether the path is a dataset of any schema version, complete or not."""
    try:
        return _attributes(path).get("schema") == SCHEMA
    except StoreError:
        if is_remote(path) and location(path).exists():  # and could not be read
            raise
        return False


def read_configuration(path: str | Path) -> Configuration:
    """How a dataset, complete or not, was or is being made.

    Raises
    ------
    StoreError
        The path is missing, not a dataset, or of another schema version.
    """
    attributes = _attributes(path)
    if attributes.get("schema") != SCHEMA:
        raise StoreError(
            f"{path} is not a dataset written by `xrd gen`, or its zarr.json is damaged; give the path of one, or "
            "restore that file or make the dataset again under another name"
        )
    if attributes.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {attributes.get('schema_version')}, this program reads {SCHEMA_VERSION}: open "
            f"it with xrdsim {attributes.get('version')}, which wrote it, or make it again with `xrd gen --overwrite`"
        )
    try:
        config = Configuration.from_dict(attributes["configuration"])
        for name, least in (("n", 0), ("test_rows", 0), ("block_size", 1)):
            if not isinstance(value := getattr(config, name), int) or value < least:
                raise ValueError(f"{name} = {value!r}")
        return config
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path}: its configuration is damaged ({error}); make it again with `xrd gen --overwrite`"
        ) from error


def prepare(path: str | Path, config: Configuration) -> None:
    """Create what a dataset needs before its first block and does not have; remove what a kill left half-written."""
    if not is_ours(path):
        description = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "version": config.version}
        stored = {"configuration": config.to_dict(), "stored_scan": config.stored_scan.to_dict()}
        zarr.create_group(_storage(path), zarr_format=3, attributes=description | stored)
    if not is_remote(path):  # objects are written whole
        for leftover in Path(path).rglob("*.partial"):
            leftover.unlink()
    group = open_group(path, "r+", consolidated=False)
    table = config.space.profile.table[: len(config.space.low)]
    _coordinate(
        group,
        "parameter",
        np.array([parameter.name for parameter in table], dtype=np.dtypes.StringDType()),
        long_name="parameter of the strain profile",
        parameter_units=[parameter.unit for parameter in table],
        parameter_long_names=[parameter.doc for parameter in table],
    )
    _coordinate(
        group,
        "angle",
        config.stored_scan.angle,
        units="arcsec",
        long_name="substrate peak minus glancing angle, positive toward the expanded lattice",
    )
    for part in Part:
        n, prefix = config.size(part), part.prefix
        kind = "profiles to learn from" if part is Part.TRAIN else "test profiles, drawn from the prior"
        forms: dict[str, tuple[dict[str, int], str]] = {
            "parameters": ({"parameter": len(table)}, "1 or Å"),
            "reflectivity": ({"angle": config.stored_scan.points}, "1"),
            "density": ({}, "1"),
        }
        for name in stored_names(config):
            widths, unit = forms[name]
            if prefix + name not in group:
                group.create_array(
                    prefix + name,
                    dtype="float32",
                    shape=(n, *widths.values()),
                    shards=(config.block_size, *widths.values()),
                    chunks=(_chunk_rows(name, config), *widths.values()),
                    compressors=_compressor(config),
                    config={"write_empty_chunks": True},  # looking for them costs as much as the compression
                    fill_value=float("nan"),
                    dimension_names=(f"{prefix}sample", *widths),
                    attributes={"units": unit, "long_name": f"{name} of {kind}"},
                )
        checked = ", ".join(stored_names(config)) if config.density else "parameters and reflectivity"
        if f"{prefix}block_checksum" not in group:
            group.create_array(
                f"{prefix}block_checksum",
                dtype="uint32",
                shape=(config.blocks(part),),
                chunks=(1,),
                compressors=None,
                fill_value=0,
                dimension_names=(f"{prefix}block",),
                attributes={"units": "1", "long_name": f"CRC-32 of {checked}, 0 if not written"},
            )


def round_curves(curves: ArrayLike, bits: int) -> Floats:
    """Curves as float32 with these bits of the mantissa, 1 to 23: a relative error of at most 2^−(bits + 1)."""
    rounded = np.array(curves, np.float32)
    dropped = np.uint32(23 - bits)
    if dropped:
        words = rounded.view(np.uint32)
        words += np.uint32((1 << (dropped - 1)) - 1) + ((words >> dropped) & np.uint32(1))  # to even
        words &= ~np.uint32((1 << dropped) - 1)
    return rounded


def _chunk_rows(name: str, config: Configuration) -> int:
    """Rows compressed together: a whole block where rows are short."""
    if config.block_size <= CHUNK_ROWS or config.mantissa_bits == 23:  # datasets of earlier versions
        return min(CHUNK_ROWS, config.block_size)
    return math.gcd(config.block_size, 4 * CHUNK_ROWS) if name == "reflectivity" else config.block_size


def _compressor(config: Configuration) -> ZstdCodec | BloscCodec:
    """The faster one for rounded curves; zstd in datasets of earlier versions."""
    if config.mantissa_bits == 23:
        return ZstdCodec(level=1)
    return BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=4)


def stored_names(config: Configuration) -> tuple[str, ...]:
    """Names of the arrays that have a shard in every block; those of the test rows have a prefix."""
    return ("parameters", "reflectivity", "density") if config.density else ("parameters", "reflectivity")


def write_block(path: str | Path, config: Configuration, part: Part, block: int, rows: Rows) -> None:
    """Write one block and, when all of it is on disk, its marker."""
    group, where = open_group(path, "r+"), config.rows(part, block)
    for name, values in zip(stored_names(config), (rows.params, rows.reflectivity, rows.density), strict=False):
        array_of(group, part.prefix + name)[where] = np.ascontiguousarray(values, dtype="<f4")
    array_of(group, f"{part.prefix}block_checksum")[block] = block_checksum(config, rows)


def block_checksum(config: Configuration, rows: Rows) -> int:
    """CRC-32 of the bytes of what is stored of a block's rows; never 0."""
    checksum = 0
    for _, values in zip(stored_names(config), (rows.params, rows.reflectivity, rows.density), strict=False):
        checksum = zlib.crc32(np.ascontiguousarray(values, dtype="<f4").data, checksum)
    return checksum or 1


def markers(path: str | Path, config: Configuration, part: Part) -> NDArray[np.uint32]:
    """Stored checksums of the blocks, 0 where a block is not marked as written or its marker cannot be read."""
    found = np.zeros(config.blocks(part), np.uint32)
    for block, content in read_files(_marker_folder(path, part), map(str, range(len(found)))):
        if len(content) == found.itemsize:
            found[int(block)] = int.from_bytes(content, "little") or 1  # 0 is never written
    return found


def missing_blocks(path: str | Path, config: Configuration, part: Part) -> NDArray[np.int64]:
    """Blocks that are not marked as written."""
    if is_remote(path):  # the listing tells
        marked = object_sizes(_marker_folder(path, part))
        return np.array([block for block in range(config.blocks(part)) if marked.get(str(block)) != 4], np.int64)
    return np.flatnonzero(markers(path, config, part) == 0)


def read_block(path: str | Path, config: Configuration, part: Part, block: int) -> Rows:
    """Rows of one block of a dataset, complete or not; whatever Zarr raises where they cannot be read."""
    group, rows = open_group(path, consolidated=False), config.rows(part, block)
    read = [np.asarray(array_of(group, part.prefix + name)[rows]) for name in stored_names(config)]
    return Rows(read[0], read[1], read[2] if config.density else np.ones(len(read[0]), np.float32))


def extend(path: str | Path, config: Configuration, longer: Configuration) -> None:
    """Make room for more rows to learn from; the last block, where it is not full, is to be made anew.

    A kill at any point leaves a dataset of either configuration, incomplete.
    """
    unfinish(path)
    if config.n % config.block_size:
        discard_block(path, Part.TRAIN, config.n // config.block_size)
    write_attribute(path, "configuration", longer.to_dict())
    for name in (*stored_names(longer), "block_checksum"):
        (location(path) / name / "zarr.json").unlink(missing_ok=True)
    prepare(path, longer)


def sample_arrays(path: str | Path, part: Part) -> dict[str, ZarrArray]:
    """The arrays of a complete dataset that have a row a sample of this part, by name."""
    found = sorted(open_group(path).arrays())
    return {name: array for name, array in found if _dimensions(array)[0] == f"{part.prefix}sample"}


def discard_block(path: str | Path, part: Part, block: int) -> None:
    """Remove the marker of a block and then what is stored of it, readable or not."""
    for name in ("block_checksum", "density", "parameters", "reflectivity"):
        remove_all(location(path) / (part.prefix + name) / "c" / str(block))


def read_attribute(path: str | Path, name: str) -> Any:
    """An attribute of the dataset beside its description, or None."""
    return _attributes(path).get(name)


def write_attribute(path: str | Path, name: str, value: object) -> None:
    """Write an attribute of a dataset, which then is not complete until ``finish``."""
    open_group(path, "r+", consolidated=False).update_attributes({name: value})


def is_complete(path: str | Path) -> bool:
    """Whether the path is a dataset with every block written and its metadata consolidated."""
    if not is_ours(path) or open_group(path).metadata.consolidated_metadata is None:
        return False
    config = read_configuration(path)
    return not any(len(missing_blocks(path, config, part)) for part in Part)


def unfinish(path: str | Path) -> None:
    """Remove the consolidated metadata, which ``finish`` writes again."""
    open_group(path, "r+", consolidated=False).update_attributes({})


def finish(path: str | Path) -> None:
    """Write the consolidated metadata, after the last block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata is an extension of Zarr v3
        zarr.consolidate_metadata(_storage(path))


def remove(path: str | Path) -> None:
    """Delete a dataset, and nothing else; its description goes last, so that a kill leaves a dataset.

    Raises
    ------
    StoreError
        The path is not a dataset.
    """
    root = location(path)
    if not is_ours(root):
        raise StoreError(f"{path} is not a dataset written by `xrd gen` and is not removed; remove it yourself")
    for child in sorted(root.iterdir(), key=lambda child: child.name == "zarr.json"):
        remove_all(child)
    if not is_remote(root):
        root.rmdir()


def _attributes(path: str | Path) -> Json:
    """Attributes of the root group, read without Zarr: whatever lies there must not surprise it."""
    root = location(path)
    try:
        content = json.loads((root / "zarr.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not root.exists():
            raise StoreError(f"{path} does not exist; make it with `xrd gen -o {path}`") from None
        content = {}
    except failures() as error:
        if is_remote(root):
            raise StoreError(f"{path} cannot be read: {error}; {remedy(root)}") from error
        content = {}
    except ValueError:
        content = {}
    attributes = content.get("attributes") if isinstance(content, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def open_group(path: str | Path, mode: Literal["r", "r+"] = "r", *, consolidated: bool | None = None) -> zarr.Group:
    """The root group; with ``consolidated=False`` every array is described by its own file."""
    return zarr.open_group(_storage(path), mode=mode, zarr_format=3, use_consolidated=consolidated)


def _storage(path: str | Path) -> Path | zarr.storage.FsspecStore:
    where: Any = location(path)
    return zarr.storage.FsspecStore.from_url(str(where), dict(where.storage_options)) if is_remote(where) else where


def _marker_folder(path: str | Path, part: Part) -> Path:
    """Where the checksums of the blocks are: uncompressed chunks of one number."""
    return location(path) / f"{part.prefix}block_checksum" / "c"


def array_of(group: zarr.Group, name: str) -> ZarrArray:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise StoreError(f"{group.store_path}: {name} is not an array; make the dataset again")
    return array


def _dimensions(array: ZarrArray) -> tuple[str | None, ...]:
    return getattr(array.metadata, "dimension_names", None) or (None,)


def _coordinate(group: zarr.Group, name: str, values: Any, **attributes: Any) -> None:
    if name not in group:
        form: Json = {"dtype": values.dtype, "shape": values.shape, "chunks": values.shape}
        group.create_array(name, compressors=None, dimension_names=(name,), attributes=attributes, **form)
    array_of(group, name)[:] = values
