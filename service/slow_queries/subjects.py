"""What a slow call of the driver asked of MongoDB, found out only once it was slow: others pay nothing."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from service.storage.commands import Find
from service.storage.pages import Reader

Command = Mapping[str, Any]


def command_of(subject: Any) -> Command | None:
    """Give the command of a call in the threads of the driver, None where it does not tell.

    It is a command already, a query, a part of a list, or a method of the driver's
    collection with its arguments.
    """
    if isinstance(subject, Mapping):
        return subject
    if not isinstance(subject, partial):
        return None
    find = next((each for each in subject.args if isinstance(each, Find)), None)
    if find is not None:
        return find.command()
    owner = getattr(subject.func, "__self__", None)
    if isinstance(owner, Reader):
        return _of_list(owner)
    return _of_method(subject)


def _of_list(reader: Reader) -> Command:
    """Return the query of a list's first page: those after it differ in where they begin."""
    plan = reader.plan
    projection = {} if plan.projection is None else {"projection": plan.projection}
    return {
        "find": plan.collection,
        "filter": plan.condition(),
        "sort": dict(plan.order.keys),
        "limit": plan.limit + 1,
        **projection,
    }


def _of_method(call: "partial[Any]") -> Command | None:
    """Give the command that a method of the driver's collection sends, or a function of ours that is alike.

    Such a function is given the collection first.
    """
    owner = getattr(call.func, "__self__", None)
    documents, *arguments = (*call.args, None) if owner is None else (owner, *call.args)
    name, form = getattr(documents, "name", None), _FORMS.get(call.func.__name__)
    where = arguments[0] if arguments and isinstance(arguments[0], Mapping) else {}
    return None if form is None or not isinstance(name, str) else form(name, where)


def _find(name: str, where: Command) -> Command:
    return {"find": name, "filter": where, "limit": 1}


def _update(name: str, where: Command) -> Command:
    return {"update": name, "updates": [{"q": where, "u": {"$set": {}}}]}


def _delete(name: str, where: Command) -> Command:
    return {"delete": name, "deletes": [{"q": where, "limit": 1}]}


def _count(name: str, where: Command) -> Command:
    return {"count": name, "query": where}


_FORMS: Mapping[str, Callable[[str, Command], Command]] = {
    "_counted": _count,
    "count_documents": _count,
    "find_one": _find,
    "find_one_and_delete": _delete,
    "replace_one": _update,
    "update_one": _update,
}
