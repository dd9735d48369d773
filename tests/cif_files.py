"""CIF files as tests write them."""


def cif(group, cell, sites, *, columns="U_iso_or_equiv", extra=""):
    """Text of a CIF file; a cell of one number is a cube."""
    lengths = [cell] * 3 + [90] * 3 if isinstance(cell, float) else cell
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_made", *(f"_cell_{name} {value}" for name, value in zip(names, lengths, strict=True))]
    lines += [f"_symmetry_space_group_name_H-M '{group}'"] if group else []
    lines += [extra, "loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"] + ["_atom_site_occupancy", f"_atom_site_{columns}"]
    lines += [f"{site.split()[0]}{i} {site}" for i, site in enumerate(sites)]
    return "\n".join(lines) + "\n"
