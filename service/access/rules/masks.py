"""`fields`: what may be read, or written, as a selection of dotted paths."""

from collections.abc import Iterator
from typing import Any, Literal

from models.base import SYSTEM_FIELDS
from service.access.rules.words import MASKS, MAXIMUM_MASK_FIELDS
from service.kit.violations import Violations, shown
from service.query.fields import Field, find_field
from service.query.limits import MAXIMUM_PATH_NAMES
from service.query.tree import Path, Selection, outermost

Use = Literal["read", "write"]

KEPT = frozenset({"id", *SYSTEM_FIELDS})
ALWAYS_SHOWN = ("id", "_version")
EXAMPLE = 'such as ["title"], {"only": ["title"]} or {"except": ["score"]}'


def read_fields(
    faults: Violations, stated: Any, root: Field | None, pointer: str, uses: frozenset[Use]
) -> Selection | None:
    """Read a list of paths, `{"only": […]}` or `{"except": […]}`; what is wrong goes to `faults`.

    `uses` tell for which kinds of verbs it is. Without `root` only the form is read.
    """
    is_exclusion = False
    names = stated
    if isinstance(stated, dict) and len(stated) == 1 and next(iter(stated)) in MASKS:
        ((word, names),) = stated.items()
        is_exclusion = word == "except"
        pointer = f"{pointer}/{word}"
    if not isinstance(names, list):
        faults.add(f"`fields` is a list of paths, {EXAMPLE}", "type", pointer)
        return None
    if is_exclusion and not names:
        hint = "Leave `fields` out when nothing is left out."
        faults.add("`except` names one field at least", "minItems", pointer, hint)
    if len(names) > MAXIMUM_MASK_FIELDS:
        faults.add(f"`fields` names {MAXIMUM_MASK_FIELDS} paths at the most", "maxItems", pointer)
        return None
    paths: set[Path] = set()
    for position, name in enumerate(names):
        here = f"{pointer}/{position}"
        if not isinstance(name, str):
            faults.add("a path is text such as `place.city`", "type", here)
        elif root is None or _is_usable(faults, name, root, here, uses, is_exclusion=is_exclusion):
            paths.add(tuple(name.split(".")))
    return Selection(outermost(sorted(paths)), is_exclusion)


def _is_usable(
    faults: Violations, name: str, root: Field, pointer: str, uses: frozenset[Use], *, is_exclusion: bool
) -> bool:
    path = tuple(name.split("."))
    if "write" in uses and path[0] in KEPT:
        detail = f"`{shown(name)}` is kept by the service: nobody writes it"
        faults.add(detail, "system_field", pointer)
    elif is_exclusion and name in ALWAYS_SHOWN:
        faults.add(f"`{name}` is always shown", "system_field", pointer)
    elif find_field(root, name) is None and not ("write" in uses and _is_hidden(root, path)):
        if _is_hidden(root, path):
            faults.add(f"`{shown(name)}` is writeOnly: nobody sees it anyway", "write_only", pointer)
        else:
            hint = faults.suggest(name, _known(root))
            faults.add(f"there is no field `{shown(name)}`", "unknown_field", pointer, hint)
    elif _has_position(root, path):
        bare = ".".join(each for each in path if not each.isdecimal())
        hint = f"Write `{shown(bare)}`."
        faults.add("`fields` is of all elements of an array, not of one", "form", pointer, hint)
    else:
        return True
    return False


def _has_position(root: Field, path: Path) -> bool:
    """Return whether a name in a path may be an array's position, where a mask would leave nothing out."""
    places = [root]
    for name in path:
        if name.isdecimal() and any(each.items is not None for each in places):
            return True
        places = [below for here in places for below in _below(here, name)]
    return False


def _known(root: Field) -> Iterator[str]:
    for name, field in root.fields.items():
        yield name
        yield from (f"{name}.{below}" for below in field.fields)


def _is_hidden(root: Field, path: Path) -> bool:
    """Return whether there is a field at a path that queries do not find, for being writeOnly."""
    places = [root]
    is_hidden = False
    for name in path[:MAXIMUM_PATH_NAMES]:
        places = [below for here in places for below in _below(here, name)]
        is_hidden = is_hidden or any(each.write_only for each in places)
    return bool(places) and is_hidden


def _below(here: Field, name: str) -> Iterator[Field]:
    for place in (here, here.items):
        field = None if place is None else place.fields.get(name, place.others)
        if field is not None:
            yield field


def read_only_paths(selection: Selection, root: Field) -> list[str]:
    """Return the paths of an inclusion at or below a readOnly field, which a body cannot change anyway."""
    if selection.is_exclusion:
        return []
    return [".".join(path) for path in selection.paths if _is_read_only(root, path)]


def _is_read_only(root: Field, path: Path) -> bool:
    places = [root]
    for name in path:
        places = [below for here in places for below in _below(here, name)]
        if any(each.read_only for each in places):
            return True
    return False
