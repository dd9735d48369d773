"""What can be done on the page: each change is checked by simulating it before it counts."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xrdml.app.model.bounds import moved
from xrdml.app.model.document import Document, MeasuredFile, Shape, frozen
from xrdml.app.model.drawing import Drawn, draw
from xrdml.app.model.files import MOST_CURVES, from_text, safe_name
from xrdml.app.model.history import History
from xrdml.app.model.outcome import with_state
from xrdml.app.model.posing import Posed, first_profiles, first_spline, opened, posed, with_unknowns
from xrdml.app.model.shaping import to_spline
from xrdsim.errors import ParameterError
from xrdsim.fit.unknowns import LINEAR

MOST_EFFORT = 1000.0
"""Of a search."""

_KEPT = 8  # problems that are kept prepared


class Session:
    """A document with its history, its temporary folder and its prepared problems."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="xrd-app-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        self.history = History()
        self._posed: dict[tuple[object, ...], Posed] = {}

    def close(self) -> None:
        """Remove the temporary folder."""
        self._temporary.cleanup()

    @property
    def document(self) -> Document:
        """The present one."""
        return self.history.present

    def posed(self, document: Document | None = None) -> Posed:
        """The prepared problem of a document, by default the present one.

        Raises
        ------
        CurveError, ParameterError
            A curve cannot be read or used, or a setting has no meaning.
        """
        wanted = self.document if document is None else document
        key = _structure(wanted)
        if key not in self._posed:
            made = posed(wanted, self.folder)
            while len(self._posed) >= _KEPT:
                del self._posed[next(iter(self._posed))]
            self._posed[key] = made
        return self._posed[key]

    def drawn(self, document: Document | None = None) -> Drawn:
        """The model of a document, by default the present one; as ``posed`` and ``draw``."""
        wanted = self.document if document is None else document
        return draw(wanted, self.posed(wanted))

    def commit(self, document: Document) -> None:
        """Take a document as one step, if it can be simulated.

        Raises
        ------
        CurveError, ParameterError
            It cannot; nothing is changed.
        """
        if document.curves:
            self.drawn(document)
        self.history.commit(document)

    def drag(self, name: str, value: float) -> None:
        """Move one unknown while a gesture goes on; values that it bounds give way.

        Raises
        ------
        ParameterError
            There is no such unknown.
        """
        base = self.history.base or self.document
        self.history.preview(replace(self._moved(base, name, value), moved=True))

    def _moved(self, base: Document, name: str, value: float) -> Document:
        number, own = base.find(name)
        old = base[name]
        if not np.isfinite(value):
            raise ParameterError(f"{name} must be a finite number")
        if number is not None:
            held = old.fit and own not in LINEAR
            return base.with_quantity(name, replace(old, value=float(np.clip(value, old.low, old.high)), fit=held))
        space, names = self.posed(base).given.space, list(base.profile)
        row = np.array([base.profile[each].value for each in names])
        found = moved(space, row, names.index(own), value)
        return base.with_values(dict(zip(names, found.tolist(), strict=True)))

    def set_value(self, name: str, value: float) -> None:
        """Give an unknown a value that was typed; limits that it is beyond give way.

        Raises
        ------
        ParameterError
            The unknown cannot have it.
        """
        old = self.document[name]
        wide = replace(old, low=min(old.low, value), high=max(old.high, value))
        widened = self.document.with_quantity(name, wide)
        self.commit(replace(self._moved(widened, name, value), moved=True))

    def set_limits(self, name: str, low: float, high: float) -> None:
        """Change the limits of an unknown; its value stays within them.

        Raises
        ------
        ParameterError
            They have no meaning.
        """
        old = self.document[name]
        if not low < high:
            raise ParameterError(f"the limits of {name}, {low:g} … {high:g}, must be in order")
        value = float(np.clip(old.value, low, high))
        self.commit(self.document.with_quantity(name, replace(old, low=low, high=high, value=value)))

    def set_fit(self, name: str, fit: bool) -> None:
        """Say whether an unknown is fitted or stays as it is; a scale stays where it is on the page."""
        quantity = replace(self.document[name], fit=fit)
        if not fit and self.document.find(name)[1] in LINEAR:
            value = self.drawn().linear.get(name, quantity.value)
            low, high = min(quantity.low, value), max(quantity.high, value)
            quantity = replace(quantity, value=value, low=low, high=high)
        self.commit(self.document.with_quantity(name, quantity))

    def set_prior(self, name: str, prior: tuple[float, float] | None) -> None:
        """Give an unknown a normal prior, mean and standard deviation, or none.

        Raises
        ------
        ParameterError
            It has no meaning, or scale and background, which have none.
        """
        own = self.document.find(name)[1]
        if prior is not None and (own in LINEAR or own == "background_end"):
            raise ParameterError(f"{name} has no prior; fix it instead")
        changed = self.document.with_quantity(name, replace(self.document[name], prior=prior))
        if prior is not None:
            posed(changed, self.folder, exact=True)  # which refuses a prior without meaning
        self.commit(changed)

    def add(self, name: str, content: bytes, **settings: Any) -> None:
        """Add a curve of the sample, and show it.

        Raises
        ------
        CurveError, ParameterError
            It cannot be read, or cannot be of the same sample; nothing is changed.
        """
        document = self.document
        if len(document.curves) >= MOST_CURVES:
            raise ParameterError(f"there are {MOST_CURVES} curves already; close one")
        if not document.profiles:
            document = replace(document, profiles=first_profiles(document))
        curve = opened(safe_name(name), content, document, self.folder, **settings)
        curves = (*document.curves, curve)
        self.commit(replace(document, curves=curves, active=len(curves) - 1, moved=document.result is not None))

    def close_curve(self, number: int) -> None:
        """Take a curve away; without any, the page begins anew."""
        curves = tuple(each for i, each in enumerate(self.document.curves) if i != number)
        if not curves:
            self.commit(Document(cifs=self.document.cifs))
            return
        active = min(self.document.active, len(curves) - 1)
        self.commit(replace(self.document, curves=curves, active=active, result=None, moved=False))

    def begin_with(self, number: int) -> None:
        """Begin anew with one of the curves, read and described as it is: it is of another sample."""
        begun = Document(cifs=self.document.cifs)
        begun = replace(begun, profiles=first_profiles(begun))
        curve = with_unknowns(self.document.curves[number], begun, self.folder)
        self.commit(replace(begun, curves=(curve,)))

    def show(self, number: int) -> None:
        """Show another curve, which is no step of the history."""
        if 0 <= number < len(self.document.curves):
            self.history.settle()
            self.history.present = replace(self.document, active=number)

    def change_curve(self, **settings: Any) -> None:
        """Change how the curve that is shown was measured, is read or is fitted.

        Raises
        ------
        CurveError, ParameterError
            A setting has no meaning for it; nothing is changed.
        """
        document = self.document
        if document.curve is None:
            raise ParameterError("there is no curve yet; drop one on the page")
        curve = replace(document.curve, **settings)
        if settings.keys() & _OF_INSTRUMENT:
            curve = replace(curve, tolerance=None)
            if "reflection" in settings or "instrument" in settings:  # other limits suit it
                kept = {name: each for name, each in curve.quantities.items() if name in ("scale", "background")}
                curve = replace(curve, quantities=frozen(kept))
            curve = with_unknowns(curve, document, self.folder)
        self.commit(replace(document.with_curve(document.active, curve), moved=document.result is not None))

    def exclude(self, low: float, high: float) -> None:
        """Leave out angles of the curve that is shown, joined to those that are left out already."""
        curve = self._curve()
        first, last = min(low, high), max(low, high)
        apart = [pair for pair in curve.exclude if pair[1] < first or pair[0] > last]
        touched = [pair for pair in curve.exclude if pair not in apart]
        first, last = min([first, *(pair[0] for pair in touched)]), max([last, *(pair[1] for pair in touched)])
        self.change_curve(exclude=tuple(sorted([*apart, (round(first, 2), round(last, 2))])))

    def include(self, at: float) -> None:
        """Take angles in again that are left out about this one."""
        kept = tuple(pair for pair in self._curve().exclude if not pair[0] <= at <= pair[1])
        if kept != self._curve().exclude:
            self.change_curve(exclude=kept)

    def _curve(self) -> MeasuredFile:
        if self.document.curve is None:
            raise ParameterError("there is no curve yet; drop one on the page")
        return self.document.curve

    def set_search(self, effort: float, seed: int) -> None:
        """Choose the work of the search, in parts of the usual one, and the seed of everything random.

        Raises
        ------
        ParameterError
            They have no meaning.
        """
        if not 0.0 < effort <= MOST_EFFORT:
            raise ParameterError(f"the effort {effort:g} must be positive, at most {MOST_EFFORT:g}")
        if not 0 <= seed < 2**32:
            raise ParameterError(f"the seed {seed} must not be negative, and below 2³²")
        if (effort, seed) != (self.document.effort, self.document.seed):
            self.commit(replace(self.document, effort=float(effort), seed=seed))

    def set_damage(self, damage: bool) -> None:
        """Show and fit the damage, or not."""
        self.commit(replace(self.document, damage=damage, moved=self.document.result is not None))

    def set_shape(self, shape: Shape, **choices: Any) -> None:
        """Describe the profile by two Gaussians or by a spline, which begins as the profile that is shown.

        Parameters
        ----------
        shape : wanted.
        choices : ``coefficients``, ``end`` and ``signed`` of a spline.

        Raises
        ------
        ParameterError
            A setting without meaning.
        """
        made = replace(self.document, shape=shape, moved=self.document.result is not None, **choices)
        if shape == "spline":
            rows = first_spline(
                made, float(self.document.profiles[self.document.shape][_DEEPEST[self.document.shape]].value)
            )
            made = replace(made, profiles=frozen({**made.profiles, "spline": frozen(rows)}))
            made = to_spline(self.document, self.posed(), made, self.folder)
        self.commit(made)

    def add_cif(self, name: str, text: str) -> str:
        """Keep a CIF file, and return the name by which a reflection may use it.

        Raises
        ------
        ParameterError
            It cannot be read.
        """
        from xrdsim.experiment.library import structure_of

        known = safe_name(name, "crystal.cif")
        known = known if known.lower().endswith(".cif") else f"{known}.cif"
        folder = self.folder / "crystals"
        folder.mkdir(exist_ok=True)
        (folder / known).write_text(text, encoding="utf-8")
        structure_of(str(folder / known))
        self.commit(replace(self.document, cifs=frozen({**self.document.cifs, known: text})))
        return known

    def open_text(self, text: str, where: str) -> None:
        """Go on with a session that was saved.

        Raises
        ------
        CurveError, ParameterError
            It is none, or cannot be simulated; nothing is changed.
        """
        self.commit(from_text(text, where))

    def take_minimum(self, number: int) -> None:
        """Show one of the profiles that the last fit found.

        What the fit says of values holds for the first of them, as long as nothing else was changed.
        """
        document = self.document
        if document.result is None or not 0 <= number < len(document.result["minima"]):
            return
        state = {"shape": document.result["shape"], "values": document.result["minima"][number]["values"]}
        made = replace(with_state(document, state), moved=True)
        for known in (document, *reversed(self.history.past), *self.history.future):
            if number == 0 and not known.moved and known.result is document.result:
                fitted = replace(known, moved=True, active=made.active, effort=made.effort, seed=made.seed)
                made = replace(made, moved=made != fitted)
                break
        self.commit(made)


_DEEPEST = {"two-gaussians": "L1", "spline": "L"}
_OF_INSTRUMENT = {"instrument", "background", "reflection", "described", "reading", "kalpha2", "sloping", "despite"}


def _structure(document: Document) -> tuple[object, ...]:
    """What of a document its prepared problem depends on."""
    ends = tuple((each.low, each.high) for each in document.profile.values())
    curves = tuple(
        (
            *(getattr(each, name) for name in ("name", "instrument", "kalpha2", "mask", "both_sides", "exclude")),
            *(each.tolerance, each.sloping, each.despite, hash(each.content)),
            *(str(dict(one or {})) for one in (each.reading, each.reflection, each.described)),
            tuple((name, one.low, one.high) for name, one in each.quantities.items() if name not in LINEAR),
        )
        for each in document.curves
    )
    return (document.shape, document.coefficients, document.end, document.damage, ends, curves)
