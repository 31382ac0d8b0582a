"""Where the labels of points go, so that they hide neither a point nor each other."""

from __future__ import annotations

from collections.abc import Sequence

Place = tuple[float, float]
Box = tuple[float, float, float, float]  # left, bottom, right, top

_AWAY = 16.0  # pixels from a point's middle
_DOT = 10.0  # a point's half width, with some air


def free_places(
    points: Sequence[Place], sizes: Sequence[Place], frame: Box, besides: Sequence[Box] = ()
) -> list[Place]:
    """Give the lower left corner of each label, in the pixels that ``points``, ``sizes`` and ``frame`` are in.

    Each label takes the first of the places around its point where it lies inside the frame and on nothing else, be
    it a point, a label or one of ``besides``; where none is free, the one that hides least.
    """
    taken = [*besides, *((x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points)]
    placed: list[Place] = []
    for point, size in zip(points, sizes, strict=True):
        best = min(_around(point, size), key=lambda place: _cost(_box(place, size), taken, frame))
        taken.append(_box(best, size))
        placed.append(best)
    return placed


def _around(point: Place, size: Place) -> list[Place]:
    """Above, below, right and left of the point, then further off."""
    (x, y), (width, height) = point, size
    places = []
    for away in (_AWAY, 2 * _AWAY, 3.5 * _AWAY):
        for left in (x - width / 2, x - _DOT, x - width + _DOT):
            places += [(left, y + away - height / 4), (left, y - away - height * 3 / 4)]
        places += [(x + away, y - height / 2), (x - away - width, y - height / 2)]
    return places


def _box(place: Place, size: Place) -> Box:
    return place[0], place[1], place[0] + size[0], place[1] + size[1]


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """The area that is hidden, and that which is outside; ties go to the place that comes first."""
    width, height = box[2] - box[0], box[3] - box[1]
    return sum(_shared(box, other) for other in taken) + 2 * (width * height - _shared(box, frame))


def _shared(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
