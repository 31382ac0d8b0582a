"""Reads a pickle as a description of what it would make, and makes nothing of it.

The opcodes are those of CPython's ``pickletools`` (protocols 0 to 5). A name that unpickling would import becomes a
``Global``, a call a ``Made``, a reference to data outside the pickle a ``Stored``; nothing is imported or called.
"""

from __future__ import annotations

import dataclasses
import io
import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from torchship.errors import MalformedError, UnsafeError
from torchship.formats.remarks import quietly

MAX_DEPTH = 500  # values within values: a module of modules takes about four a level
MAX_OPCODES = 20_000_000
_LONGEST_LINE = 10_000  # bytes of a name
_PLAIN = (type(None), bool, int, float, str, bytes)


@dataclasses.dataclass(frozen=True)
class Global:
    """A name that unpickling would import."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(frozen=True)
class Stored:
    """Data outside the pickle, by the identifier that its loader would look up."""

    key: Any


@dataclasses.dataclass(eq=False)
class Made:
    """What calling ``maker`` with ``args`` would give; ``bare``: by ``maker.__new__`` alone.

    ``states``, ``items`` and ``pairs`` are what would be done to it then: ``__setstate__``, ``append``, ``[key] =``.
    """

    maker: Global
    args: tuple[Any, ...]
    bare: bool = False
    states: list[Any] = dataclasses.field(default_factory=list)
    items: list[Any] = dataclasses.field(default_factory=list)
    pairs: list[tuple[Any, Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Pickle:
    """A pickle that was read. ``made`` and ``stored``: in the order of their making; ``end``: the next byte's place."""

    value: Any
    globals: tuple[Global, ...]
    made: tuple[Made, ...]
    stored: tuple[Stored, ...]
    end: int


def read(raw: bytes | memoryview, name: str, start: int = 0) -> Pickle:
    """Read the pickle that begins at ``start``; ``name`` is what errors call it. A view is not copied.

    Raises:
        MalformedError: it is no pickle, or cut short.
        UnsafeError: it is nested too deep, too long, or uses what no saved model needs.
    """
    stream: io.BytesIO | _View = io.BytesIO(raw) if isinstance(raw, bytes) else _View(raw)
    stream.seek(start)
    machine = _Machine(name)
    try:
        with quietly():
            for count, (opcode, argument, _) in enumerate(pickletools.genops(cast("IO[bytes]", stream))):
                if count > MAX_OPCODES:
                    raise UnsafeError(f"{name} is a pickle of more than {MAX_OPCODES} steps", where=name)
                machine.step(opcode.name, argument)
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedError(f"{name} is no pickle, or a damaged one: {error}", where=name) from error
    value = machine.result()
    check_depth(value, name)
    return Pickle(value, tuple(machine.globals), tuple(machine.made), tuple(machine.stored), stream.tell())


def read_whole(raw: bytes, name: str) -> Pickle:
    """Read a pickle that fills ``raw``; raises UnsafeError where something is hidden behind it."""
    found = read(raw, name)
    if found.end != len(raw):
        raise UnsafeError(f"{name} hides {len(raw) - found.end} bytes behind its pickle", where=name)
    return found


def modern(module: str, name: str) -> Global:
    """The name as Python 3 calls it: protocols 0 to 2 write Python 2's."""
    return Global(*NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name)))


class _View:
    """As much of a file as ``pickletools`` asks for, over bytes that are too many to copy."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._at = 0

    def seek(self, place: int) -> None:
        self._at = place

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        part = bytes(self._raw[self._at : self._at + size])
        self._at += len(part)
        return part

    def readline(self) -> bytes:
        line = bytes(self._raw[self._at : self._at + _LONGEST_LINE]).partition(b"\n")
        return self.read(len(line[0]) + len(line[1]))


class _Machine:
    """The stack machine that a pickle is a program for, over descriptions."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.globals: dict[Global, None] = {}
        self.made: list[Made] = []
        self.stored: list[Stored] = []
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._done = False

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _CONSTANTS:
            self._stack.append(argument)
        elif opcode in _LITERALS:
            self._stack.append(_LITERALS[opcode]())
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise UnsafeError(f"{self.name} uses {opcode}, which no saved model needs", where=self.name)

    def result(self) -> Any:
        if not self._done or self._marked or len(self._stack) != 1:
            raise MalformedError(f"{self.name} is a pickle that leaves values behind", where=self.name)
        return self._stack[0]

    def _stop(self, _: Any) -> None:
        self._done = True

    def _mark(self, _: Any) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        found, self._stack = self._stack, self._marked.pop()
        return found

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:  # a lone mark is dropped with what lies above it: nothing
            self._to_mark()

    def _pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _tuple(self, _: Any) -> None:
        items = tuple(self._to_mark())
        self._stack.append(items)

    def _short_tuple(self, length: int) -> None:
        if len(self._stack) < length:
            raise IndexError("a tuple of more values than there are")
        items = tuple(self._stack[-length:])
        self._stack[-length:] = [items]

    def _list(self, _: Any) -> None:
        items = self._to_mark()
        self._stack.append(items)

    def _dict(self, _: Any) -> None:
        items = self._to_mark()
        self._stack.append({})
        self._set_pairs(items)

    def _frozenset(self, _: Any) -> None:
        items = self._to_mark()
        self._stack.append(frozenset(self._key(item) for item in items))

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        items = self._to_mark()
        self._extend(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, (list, Made)):
            raise TypeError(f"it appends to a {type(target).__name__}")
        (target.items if isinstance(target, Made) else target).extend(items)

    def _add_items(self, _: Any) -> None:
        items = self._to_mark()
        target = self._stack[-1]
        if not isinstance(target, set):
            raise TypeError(f"it adds to a {type(target).__name__}")
        target.update(self._key(item) for item in items)

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_pairs([key, value])

    def _set_items(self, _: Any) -> None:
        items = self._to_mark()
        self._set_pairs(items)

    def _set_pairs(self, items: list[Any]) -> None:
        target = self._stack[-1]
        pairs = [(self._key(key), value) for key, value in zip(items[::2], items[1::2], strict=True)]
        if isinstance(target, dict):
            target.update(pairs)
        elif isinstance(target, Made):
            target.pairs.extend(pairs)
        else:
            raise TypeError(f"it sets an item of a {type(target).__name__}")

    def _key(self, key: Any) -> Any:
        """Hashing a tuple of tuples of one tuple takes forever: a key is plain, or nearly so."""
        if isinstance(key, (*_PLAIN, Global)):
            return key
        parts = key if isinstance(key, tuple) else key.args if isinstance(key, Made) and not key.states else None
        if parts is None or not all(isinstance(part, (*_PLAIN, Global)) for part in parts):
            raise UnsafeError(f"{self.name} uses a nested {type(key).__name__} as a key", where=self.name)
        return key

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push_global(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("it imports what is no name")
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        found = modern(module, name)
        self.globals[found] = None
        self._stack.append(found)

    def _call(self, maker: Any, args: Any, *, bare: bool = False) -> None:
        if not isinstance(maker, Global):
            raise UnsafeError(f"{self.name} calls what another call gave", where=self.name)
        if not isinstance(args, tuple):
            raise TypeError(f"it calls {maker} with a {type(args).__name__}")
        made = Made(maker, args, bare)
        self.made.append(made)
        self._stack.append(made)

    def _reduce(self, _: Any) -> None:
        args, maker = self._stack.pop(), self._stack.pop()
        self._call(maker, args)

    def _new(self, _: Any) -> None:
        args, maker = self._stack.pop(), self._stack.pop()
        self._call(maker, args, bare=True)

    def _new_with_keywords(self, _: Any) -> None:
        keywords, args, maker = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(maker, (*args, keywords), bare=True)

    def _instance(self, argument: str) -> None:
        self._global(argument)
        maker = self._stack.pop()
        args = tuple(self._to_mark())
        self._call(maker, args)

    def _object(self, _: Any) -> None:
        maker, *args = self._to_mark()
        self._call(maker, tuple(args))

    def _build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, Made):
            raise UnsafeError(f"{self.name} gives a state to a {type(target).__name__}", where=self.name)
        target.states.append(state)

    def _stored(self, _: Any) -> None:
        self._stored_by_name(self._stack.pop())

    def _stored_by_name(self, key: Any) -> None:
        if isinstance(key, tuple) and len(key) == 4 and key[0] == "module" and isinstance(key[1], Global):
            self._stack.append(key[1])  # how torch's legacy form writes a layer's class, with its source beside it
            return
        self.stored.append(Stored(key))
        self._stack.append(self.stored[-1])

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])


_CONSTANTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "FLOAT", "BINFLOAT",
}  # fmt: skip
_LITERALS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "STOP": _Machine._stop, "MARK": _Machine._mark, "POP": _Machine._pop, "POP_MARK": _Machine._pop_mark,
    "DUP": _Machine._dup, "TUPLE": _Machine._tuple, "TUPLE1": lambda machine, _: machine._short_tuple(1),
    "TUPLE2": lambda machine, _: machine._short_tuple(2), "TUPLE3": lambda machine, _: machine._short_tuple(3),
    "LIST": _Machine._list, "DICT": _Machine._dict, "FROZENSET": _Machine._frozenset, "APPEND": _Machine._append,
    "APPENDS": _Machine._appends, "ADDITEMS": _Machine._add_items, "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items, "GLOBAL": _Machine._global, "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce, "NEWOBJ": _Machine._new, "NEWOBJ_EX": _Machine._new_with_keywords,
    "INST": _Machine._instance, "OBJ": _Machine._object, "BUILD": _Machine._build, "BINPERSID": _Machine._stored,
    "PERSID": _Machine._stored_by_name, "PUT": _Machine._put, "BINPUT": _Machine._put, "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize, "GET": _Machine._get, "BINGET": _Machine._get, "LONG_BINGET": _Machine._get,
}  # fmt: skip


def below(value: Any) -> Iterator[Any]:
    """Give the values that ``value`` directly holds."""
    if isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, Made):
        yield from value.args
        yield from value.states
        yield from value.items
        yield from (item for _, item in value.pairs)
    elif isinstance(value, Stored):
        yield value.key


def keys_in(value: Any) -> Iterator[str]:
    """Give the texts that are keys anywhere in ``value``; what is there twice is read once."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _PLAIN):
            continue
        seen.add(id(one))
        keys = one.keys() if isinstance(one, dict) else [key for key, _ in one.pairs] if isinstance(one, Made) else ()
        yield from (key for key in keys if isinstance(key, str))
        waiting += below(one)


def check_depth(value: Any, name: str) -> None:
    """Raise UnsafeError where values lie in values more than ``MAX_DEPTH`` deep; a cycle is no depth."""
    depth: dict[int, int] = {}
    stack: list[tuple[Any, Iterator[Any], list[int]]] = []

    def enter(one: Any) -> None:
        depth[id(one)] = 0
        stack.append((one, below(one), [0]))

    enter(value)
    while stack:
        if len(stack) > MAX_DEPTH:
            raise UnsafeError(f"{name} holds values nested more than {MAX_DEPTH} deep", where=name)
        one, rest, deepest = stack[-1]
        inner = next((item for item in rest if not isinstance(item, _PLAIN)), None)
        if inner is None:
            stack.pop()
            depth[id(one)] = deepest[0] + 1
            if depth[id(one)] > MAX_DEPTH:
                raise UnsafeError(f"{name} holds values nested more than {MAX_DEPTH} deep", where=name)
            if stack:
                stack[-1][2][0] = max(stack[-1][2][0], depth[id(one)])
        elif id(inner) in depth:
            deepest[0] = max(deepest[0], depth[id(inner)])
        else:
            enter(inner)
