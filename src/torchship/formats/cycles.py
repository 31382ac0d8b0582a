"""Whether what should be a tree of dependencies bites its own tail."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)


def has_cycle(depends: Mapping[_T, Collection[_T]]) -> bool:
    """Whether a key of ``depends`` depends on itself, by however many others; what is no key depends on nothing."""
    waiting = {key: {each for each in on if each in depends} for key, on in depends.items()}
    users: dict[_T, list[_T]] = {key: [] for key in waiting}
    for key, on in waiting.items():
        for each in on:
            users[each].append(key)
    free = [key for key, on in waiting.items() if not on]
    settled = 0
    while free:
        key = free.pop()
        settled += 1
        for user in users[key]:
            waiting[user].discard(key)
            if not waiting[user]:
                free.append(user)
    return settled != len(waiting)
