"""The parser by itself: whatever is remembered of heads, and however the bytes are cut, the requests are the same."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchship.serve.http.head import Heads
from torchship.serve.http.limits import Limits
from torchship.serve.http.parsing import Phase, RequestParser
from torchship.serve.refusal import Refusal

LIMITS = Limits(body=5000, head=2000, headers=20)
READ = 4096


class Forgetful(Heads):
    """Remembers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.get = lambda raw: None


def parsed(chunks: list[bytes], heads: Heads) -> tuple[list[tuple[object, ...]], int]:
    """The requests in ``chunks``, and the status by which they end (0 where they don't)."""
    got: list[tuple[object, ...]] = []

    def take(head, body) -> None:
        headers = tuple(sorted(head.headers.items()))
        got.append((head.method, head.path, head.query, headers, head.keep_alive, bytes(body)))

    parser = RequestParser(LIMITS, heads, take, lambda: None)
    read = bytearray(READ)
    view = memoryview(read)
    try:
        for chunk in chunks:
            at = 0
            while at < len(chunk):
                rest = parser.rest()
                if rest is not None:
                    piece = chunk[at : at + len(rest)]
                    rest[: len(piece)] = piece
                    parser.rest_read(len(piece))
                else:
                    piece = chunk[at : at + READ]
                    read[: len(piece)] = piece
                    parser.feed(read, view, len(piece))
                at += len(piece)
    except Refusal as refusal:
        return got, refusal.status
    return got, 0


def post(length: int, fill: bytes = b"x", headers: bytes = b"") -> bytes:
    return (
        b"POST /a?q=%d HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n" % (length, headers, length) + fill * length
    )


REQUESTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\nGET /after-a-line HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /old HTTP/1.0\r\n\r\n",
        b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET /up HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
        b"POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        post(0),
        post(3),
        post(900, b"\r"),
        post(4, b"\r\n\r\n"[:1]),
        post(12, headers=b"Content-Type: a\r\n"),
        post(4900),
        post(900, headers=b"Connection: close\r\n"),
        b"POST /lf HTTP/1.1\nHost: h\nContent-Length: 10\n\n12345\r\n\r\n6",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ]
)

HEADS = Heads()  # shared by all examples: the more it remembers, the harder it is tried


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(REQUESTS, min_size=1, max_size=6), st.data())
def test_memory_and_cuts_change_nothing(requests, data):
    stream = b"".join(requests)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8)) + [
        sum(map(len, requests[:count])) for count in range(len(requests) + 1) if data.draw(st.booleans())
    ]
    cuts = [0, *sorted(places), len(stream)]
    chunks = [stream[start:stop] for start, stop in pairwise(cuts)]
    plain = parsed([stream], Forgetful())
    assert parsed(chunks, Forgetful()) == plain
    assert parsed(chunks, HEADS) == plain
    assert parsed([stream], HEADS) == plain


def test_a_head_is_remembered_and_shared():
    heads = Heads()
    seen = []
    parser = RequestParser(LIMITS, heads, lambda head, body: seen.append((head, bytes(body))), lambda: None)
    for fill in (b"a", b"b", b"c"):
        request = post(5, fill)
        read = bytearray(request)
        parser.feed(read, memoryview(read), len(read))
    assert [body for _, body in seen] == [b"aaaaa", b"bbbbb", b"ccccc"]
    assert seen[0][0] is seen[1][0] is seen[2][0]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /lf HTTP/1.1\nHost: h\nContent-Length: 9\n\n12345\r\n\r\n",
        b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        b"GET /up HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET /long HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 1900 + b"\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_not_remembered(request_bytes):
    heads = Heads()
    parsed([request_bytes], heads)
    assert not heads._heads


def test_heads_are_forgotten_when_there_are_too_many():
    heads = Heads()
    for number in range(1500):
        parsed([b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number], heads)
        assert len(heads._heads) <= 512


def test_where_a_request_stands():
    parser = RequestParser(LIMITS, Heads(), lambda head, body: None, lambda: None)
    phases = []
    for piece in (b"GE", b"T / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", None):
        if piece is None:
            parser.rest()[:5] = b"12345"
            parser.rest_read(5)
        else:
            read = bytearray(piece)
            parser.feed(read, memoryview(read), len(read))
        phases.append(parser.phase)
    assert phases == [Phase.HEAD, Phase.BODY, Phase.IDLE]
