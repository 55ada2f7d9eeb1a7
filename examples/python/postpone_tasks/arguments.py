"""Reads a job's JSON arguments as the parameters of a handler. Strict: an argument that is missing, of another type or
not among the parameters is an error that names it.

A parameter may have the type bool, int, float, str, list, list[T], dict, dict[str, T], `T | None`, Any, or none; `Any` and
none take every value. One with a default may be missing. The first may be a Context.
"""

import inspect
import json
import types
import typing

from .context import BadArguments, Context

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_ANYTHING = (typing.Any, object, inspect.Parameter.empty)


def _is_union(hint):
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_readable(hint):
    if hint in _ANYTHING or hint in _SIMPLE:
        return True
    inner = typing.get_args(hint)
    if _is_union(hint):
        return len(inner) == 2 and type(None) in inner and all(i is type(None) or _is_readable(i) for i in inner)
    if typing.get_origin(hint) is list:
        return _is_readable(inner[0])
    return typing.get_origin(hint) is dict and inner[0] is str and _is_readable(inner[1])


def _expected(hint):
    if hint in _ANYTHING:
        return "any value"
    if _is_union(hint):
        return " or ".join("null" if i is type(None) else _expected(i) for i in typing.get_args(hint))
    return _SIMPLE[typing.get_origin(hint) or hint]


def _shown(value):
    """`value` as an error message shows it: its kind, and at most so much of its text."""
    if value is None:
        return "null"
    text = json.dumps(value)
    return f"{_SIMPLE[type(value)]} {text if len(text) <= 60 else text[:60] + '…'}"


def _read(value, hint, where):
    if hint in _ANYTHING:
        return value
    inner = typing.get_args(hint)
    if _is_union(hint):
        return None if value is None else _read(value, next(i for i in inner if i is not type(None)), where)
    kind = typing.get_origin(hint) or hint
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise BadArguments(f"{where}: expected {_expected(hint)}, got {_shown(value)}")
    if kind is list and inner:
        return [_read(each, inner[0], f"element {i} of {where}") for i, each in enumerate(value)]
    if kind is dict and inner:
        return {name: _read(each, inner[1], f'"{name}" of {where}') for name, each in value.items()}
    return kind(value)


class Parameters:
    """Those of a handler."""

    def __init__(self, handler):
        """Raises TypeError for a parameter that no argument can be read for."""
        hints = typing.get_type_hints(handler)
        parameters = list(inspect.signature(handler).parameters.values())
        self.takes_context = bool(parameters) and hints.get(parameters[0].name) is Context
        self._hints = {}
        self._required = set()
        for each in parameters[self.takes_context :]:
            if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                raise TypeError(f'the parameter "{each.name}" cannot be given by its name')
            hint = hints.get(each.name, each.empty)
            if not _is_readable(hint):
                raise TypeError(f'the parameter "{each.name}" has the type {hint}, which no argument is read as')
            self._hints[each.name] = hint
            if each.default is each.empty:
                self._required.add(each.name)

    @property
    def names(self):
        return list(self._hints)

    def read(self, args, task):
        """The keyword arguments for a call. Raises BadArguments."""
        for name in args:
            # Jobs of schedules carry a timestamp.
            if name not in self._hints and name != "timestamp":
                known = ", ".join(f'"{each}"' for each in self._hints) or "none"
                raise BadArguments(f'unexpected argument "{name}" of {task}: it takes {known}')
        read = {}
        for name, hint in self._hints.items():
            where = f'argument "{name}" of {task}'
            if name in args:
                read[name] = _read(args[name], hint, where)
            elif name in self._required:
                raise BadArguments(f"{where} is missing: expected {_expected(hint)}")
        return read


def parse(text, task):
    """The arguments of a job, a dict. Raises BadArguments."""
    try:
        args = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadArguments(f"the arguments of {task} cannot be read: {error}") from None
    if not isinstance(args, dict):
        raise BadArguments(f"the arguments of {task} are no JSON object, but {_shown(args)}")
    return args
