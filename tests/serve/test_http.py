"""The HTTP side by itself: raw bytes on a socket, well-formed and not, slow and half closed."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from serve.raw_http import Bench, post, run


def test_a_request_in_single_bytes():
    async def test(made: Bench) -> None:
        client = await made.client()
        for byte in post(b"hello"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        status, head, body = await client.answer()
        assert (status, body) == (200, b"POST /a?b=c 5|hello")
        assert b"connection: close" not in head

    run(test)


def test_requests_sent_ahead_are_answered_in_their_order():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(b"".join(post(b"%03d" % number) for number in range(500)))
        for number in range(500):
            assert (await client.answer())[2] == b"POST /a?b=c 3|%03d" % number

    run(test)


def test_one_that_waits_holds_back_those_behind_it():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"next"))
        while not made.backend.waiting:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        made.backend.waiting[0].reply(200, b"text/plain", (b"first",))
        assert (await client.answer())[2] == b"first"
        assert (await client.answer())[2] == b"POST /a?b=c 4|next"

    run(test)


@pytest.mark.parametrize("size", [0, 1, 60_000, 99_999])
def test_a_body_arrives_whole_however_it_is_cut(size):
    async def test(made: Bench) -> None:
        body = bytes(number % 251 for number in range(size))
        client = await made.client()
        head, rest = post(body)[:90], post(body)[90:]
        client.send(head)
        await asyncio.sleep(0.02)
        client.send(rest)
        assert (await client.answer())[2] == b"POST /a?b=c %d|%b" % (size, body[:9])
        client.send(post(b"again"))
        assert (await client.answer())[2] == b"POST /a?b=c 5|again"

    run(test)


def test_a_chunked_body_and_its_trailers():
    async def test(made: Bench) -> None:
        client = await made.client()
        head = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nChecksum: 9\r\n\r\n" + post(b"x"))
        assert (await client.answer())[2] == b"POST /c? 5|abcde"
        assert (await client.answer())[2] == b"POST /a?b=c 1|x"

    run(test)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n bad: folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nName\x00: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\n\r\n", 417),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n186A1\r\n" + bytes(100_001), 413),
        (b"GET /" + b"a" * 200_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"a" * 5000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(30)) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nEndless: " + b"a" * 200_000, 431),
    ],
)
def test_what_is_refused_ends_its_connection(request_bytes, status):
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(request_bytes)
        got, head, body = await client.answer()
        assert got == status
        assert b"connection: close" in head
        assert body.startswith(b'{"error":"')
        assert await client.closed()
        assert (await made.ask(post(b"next")))[0] == 200

    run(test)


def test_a_good_request_before_a_bad_one_is_answered():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(post(b"good") + b"bad\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert (await client.answer())[0] == 400
        assert await client.closed()

    run(test)


def test_a_client_that_is_refused_while_it_sends_gets_to_read_why():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        for _ in range(90):
            client.send(bytes(100_000))
            await client.writer.drain()
        assert (await client.answer())[0] == 413

    run(test)


def test_the_body_is_asked_for_where_the_client_waits_for_that():
    async def test(made: Bench) -> None:
        client = await made.client()
        whole = post(b"hello", b"Expect: 100-continue\r\n")
        client.send(whole[:-5])
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(whole[-5:])
        assert (await client.answer())[2] == b"POST /a?b=c 5|hello"

    run(test)


def test_a_wish_for_another_protocol_is_passed_over():
    async def test(made: Bench) -> None:
        client = await made.client()
        upgrade = b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        client.send(b"".join(upgrade % number for number in range(900)))
        for number in range(900):
            assert (await client.answer())[2] == b"GET /%d? 0|" % number
        client.send(post(b"still here"))
        assert (await client.answer())[0] == 200

    run(test)


def test_http_1_0_and_connection_close_end_it():
    async def test(made: Bench) -> None:
        for request in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
            client = await made.client()
            client.send(request)
            assert b"connection: close" in (await client.answer())[1]
            assert await client.closed()

    run(test)


def test_head_is_answered_without_a_body():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"x"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 11" in head
        assert (await client.answer())[2] == b"POST /a?b=c 1|x"

    run(test)


def test_a_handler_that_fails_is_a_500_and_the_connection_goes_on(caplog):
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
        status, _, body = await client.answer()
        assert (status, b"ZeroDivision" in body) == (500, False)
        client.send(post(b"x"))
        assert (await client.answer())[0] == 200

    run(test)
    assert "ZeroDivisionError" in caplog.text


def test_a_client_that_goes_away_takes_its_work_with_it():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        while not made.backend.waiting:
            await asyncio.sleep(0.01)
        client.writer.close()
        for _ in range(100):
            if made.backend.abandoned:
                break
            await asyncio.sleep(0.01)
        assert made.backend.abandoned == 1
        made.backend.waiting[0].reply(200, b"text/plain", (b"too late",))

    run(test)


def test_a_half_closed_connection_is_answered_where_the_answer_is_at_hand():
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(post(b"bye"))
        client.writer.write_eof()
        assert (await client.answer())[2] == b"POST /a?b=c 3|bye"
        assert await client.closed()

    run(test)


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET /", 408),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\nabc", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 408),
    ],
)
def test_slow_senders_are_told_and_left(start, status):
    async def test(made: Bench) -> None:
        client = await made.client()
        client.send(start)

        async def dribble() -> None:
            with contextlib.suppress(OSError):
                while True:
                    await asyncio.sleep(0.1)
                    client.send(b"1")

        dribbling = asyncio.create_task(dribble())
        got, _, body = await client.answer()
        dribbling.cancel()
        assert (got, b"than" in body) == (status, True)
        assert await client.closed()

    run(test)


def test_an_idle_connection_is_closed_without_a_word():
    async def test(made: Bench) -> None:
        client = await made.client()
        assert await client.closed()

    run(test)


def test_one_connection_too_many_is_told_so():
    async def test(made: Bench) -> None:
        for _ in range(3):
            await made.client()
        status, head, _ = await (await made.client()).answer()
        assert (status, b"retry-after: 1" in head) == (503, True)

    run(test)


def test_a_drain_answers_what_is_under_way_and_closes_the_rest():
    async def test(made: Bench) -> None:
        idle, busy = await made.client(), await made.client()
        busy.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        while not made.backend.waiting:
            await asyncio.sleep(0.01)
        made.site.drain()
        assert await idle.closed()
        made.backend.waiting[0].reply(200, b"text/plain", (b"done",))
        status, head, body = await busy.answer()
        assert (status, b"connection: close" in head, body) == (200, True, b"done")
        assert await busy.closed()

    run(test)
