"""`set`: the members that a write sets, whatever the body says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.access.principals import Principal
from service.access.rules import placeholders
from service.access.rules.conditions import Pending, is_day
from service.access.rules.faults import Faults, at
from service.access.rules.placeholders import Unknown
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.problems import shown
from service.query.values import Unreadable, from_json


@dataclass(frozen=True, slots=True, eq=False)
class Forced:
    """The members that an alternative forces: `constants` as JSON, `pending` when the caller is known."""

    constants: Mapping[str, Any]
    pending: Mapping[str, Pending]

    def bound(self, principal: Principal, now: datetime) -> dict[str, Any]:
        """Give all of them for a caller, as JSON; raises Absent when a value is missing or does not fit."""
        members = dict(self.constants)
        for name, pending in self.pending.items():
            value = pending.json(principal, now)
            if _misfit(pending.field, value) is not None:
                raise pending.misfit()
            members[name] = value
        return members


def read_forced(faults: Faults, stated: Any, root: Field | None, pointer: str) -> Forced | None:
    """Read `{top-level field: value}`, without `root` only its form; what is wrong goes to `faults`."""
    if not isinstance(stated, dict) or not stated:
        faults.add("`set` is an object of fields and their values, one at least", "type", pointer)
        return None
    constants: dict[str, Any] = {}
    pending: dict[str, Pending] = {}
    for name, value in stated.items():
        here = at(pointer, name)
        field = None if root is None else _field(faults, name, root, here)
        try:
            read = placeholders.read(value)
        except Unknown as problem:
            faults.add(str(problem), "value", here, problem.hint)
            continue
        if next(placeholders.within(read), None) is None:
            constants[name] = read
            samples: Iterator[Any] = iter([read])
        else:
            pending[name] = Pending(field or Field(), read, field is not None and is_day(field))
            samples = pending[name].samples()
        if field is not None and (misfit := _none_fits(field, samples)):
            faults.add(f"{misfit} does not fit `{shown(name)}`", "type", here)
    return Forced(constants, pending)


def _field(faults: Faults, name: str, root: Field, pointer: str) -> Field | None:
    if name == "id" or name.startswith("_"):
        faults.add(f"`{shown(name)}` is kept by the service", "system_field", pointer)
        return None
    if "." in name:
        hint = f"Set `{shown(name.partition('.')[0])}` as a whole."
        faults.add("`set` names top-level fields only", "unknown_field", pointer, hint)
        return None
    field = root.fields.get(name, root.others)
    if field is None or not name or name.startswith("$") or "\0" in name:
        near = faults.suggest(name, root.fields)
        faults.add(f"there is no field `{shown(name)}`", "unknown_field", pointer, near)
        return None
    return field


def _none_fits(field: Field, samples: Iterator[Any]) -> str | None:
    """Say of the first of the values why it does not fit, None when one of them does."""
    told = None
    for sample in samples:
        misfit = _misfit(field, sample)
        if misfit is None:
            return None
        told = told or misfit
    return told


def _misfit(field: Field, value: Any) -> str | None:
    """Say what a JSON value is when the field cannot have it; the engine judges the rest by the schema."""
    if value is None:
        return None if Kind.NULL in field.kinds else "null"
    if isinstance(value, list):
        return None if Kind.ARRAY in field.kinds else "an array"
    if isinstance(value, dict):
        return None if Kind.OBJECT in field.kinds else "an object"
    try:
        from_json(field.kinds - {Kind.NULL, Kind.OBJECT, Kind.ARRAY}, value)
    except Unreadable as problem:
        return f"what is {problem}"
    return None
