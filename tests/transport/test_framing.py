"""Origins that break HTTP: rows H01 to H15, R10 and R11 of the attacks, with real bytes on real sockets."""

import asyncio
import gzip
import time

import pytest

from fetcher.errors import BadResponse, EncodingForbidden, SourceStatus, Truncated
from fetcher.transport import Gate, SourceRequest
from fetcher.transport.dialling.head_lines import HeadLines
from tests.lab import Origin, lab_settings
from tests.lab.behaviours import answer, chunked, cut, drip_raw, redirect, serve
from tests.transport.attack import Outcome, attack, nothing_left

OK = "HTTP/1.1 200 OK\r\n"
CHUNKS = OK + "Transfer-Encoding: chunked\r\n\r\n"


async def hear(raw: str | bytes) -> Outcome:
    """Pull from an origin that says exactly this."""
    async with Origin({"/x": answer(raw)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
        assert origin.connections == 1  # nothing is tried again behind anybody's back
    return outcome


async def test_h01_early_end_is_no_end() -> None:
    """Whoever hangs up before the announced length has not sent the image."""
    outcome = await hear(OK + "Content-Length: 10\r\n\r\n012")
    assert isinstance(outcome.failure, Truncated)
    assert (outcome.failure.received_bytes, outcome.failure.declared_bytes) == (3, 10)
    assert outcome.failure.retryable


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", [0, 1, 70_000, 999_999])
async def test_h01_connection_may_break_anywhere(after: int, reset: bool) -> None:
    """With an end or a reset: what had come is counted, and the rest is missing."""
    data = bytes(1_000_000)
    async with Origin({"/x": cut(data, after, reset=reset)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, Truncated)
    assert outcome.failure.received_bytes == len(outcome.body) <= after
    assert reset or len(outcome.body) == after


async def test_h01_chunks_without_their_last_are_no_end() -> None:
    """Only the empty chunk tells that all has come."""
    async with Origin({"/x": chunked([b"abc"], is_ended=False)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, Truncated)
    assert outcome.body == b"abc"
    assert "unknown" in str(outcome.failure)


async def test_h01_truncated_resume_counts_from_the_start_of_the_whole() -> None:
    """What is told is where in the image the bytes ended."""
    async with Origin({"/x": cut(bytes(1000), 100, fields={"ETag": '"1"'})}) as origin:
        request = SourceRequest(url=origin.url("/x"), offset=500, if_range='"1"')
        outcome = await attack(request, lab_settings(origin))
    assert isinstance(outcome.failure, Truncated)
    assert (outcome.failure.received_bytes, outcome.failure.declared_bytes) == (600, 1000)


async def test_h02_bytes_after_the_length_are_never_taken() -> None:
    """Three were announced, ten came: three are the body, or it is no answer at all."""
    at_once = await hear(OK + "Content-Length: 3\r\n\r\n0123456789")
    assert at_once.code == "bad-response" or at_once.body == b"012"

    async def later(exchange) -> None:
        await exchange.send(OK + "Content-Length: 3\r\n\r\n012")
        await exchange.send("3456789" * 1000)

    async with Origin({"/x": later}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.code == "bad-response" or outcome.body == b"012"


async def test_h02_second_answer_is_never_taken() -> None:
    """A pipelined answer belongs to nobody."""
    outcome = await hear((OK + "Content-Length: 3\r\n\r\nabc") * 2)
    assert outcome.body in {b"", b"abc"}


@pytest.mark.parametrize(
    "fields",
    [
        *(
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: 3\r\nContent-Length: 03",
            "Content-Length: 3\r\nContent-Length: 3\r\nContent-Length: 4",
            "Content-Length: 3\r\nContent-Length: 3\r\n 3",
            "Content-Length: 3\r\nContent-Length: 3\r\n\t, 4",
            "Content-Length: 3\r\nX: y\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            "Content-Length: 3\r\nContent-Length: +3",
            "Content-Length: 3, 4",
            "Content-Length: 3,",
            "Content-Length: 3 3",
        ),
        *("Content-Length: +3", "Content-Length: -1", "Content-Length: 0x3", f"Content-Length: {2**63}"),
        *(
            f"Content-Length: {2**64}",
            f"Content-Length: {2**64 + 3}",
            "Content-Length: ",
            "Content-Length: 3.0",
        ),
        *(
            "Content-Length : 3",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
        ),
        *("Transfer-Encoding: chunked, gzip", "Transfer-Encoding: identity", "Transfer-Encoding: xchunked"),
        *("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\x0bchunked"),
        *(
            "Content-Range: bytes 0-2/3\r\nContent-Length: 3",
            "Content-Length: 3\x00",
            "Content-Length: 3\r 3",
        ),
        *("X: a\x00b\r\nContent-Length: 3", "X: a\rb\r\nContent-Length: 3", "X y: 1\r\nContent-Length: 3"),
        *("X: " + "a" * 66_000, "\r\n".join(f"X{number}: a" for number in range(200)), ": x", "X"),
        *("Content-Length: 3\r\n 3", "Transfer-Encoding: chun\r\n ked"),
        *("Content-Length:\r\n 3", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked"),
        *("Content-Length: 3\r\nContent-Encoding:\r\n identity", "Content-Length:\r\n \r\n 3"),
        *("X: a\nContent-Length: 3", "Content-Length: 3\nX: a", "Content-Length: 3\r\nX: a\n"),
    ],
)
async def test_h04_h05_h09_heads_that_can_be_read_in_two_ways_are_refused(fields: str) -> None:
    """Lengths, codings, controls, sizes: whatever two readers could read differently."""
    outcome = await hear(f"{OK}{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert isinstance(outcome.failure, BadResponse)
    assert outcome.body == b""


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nX: y\r\ncontent-length:3 \r\nCONTENT-LENGTH:\t3",
        "Content-Length: 3, 3",
        "Content-Length: 3,3\r\nContent-Length: 3",
    ],
)
@pytest.mark.parametrize("interim", ["", "HTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\n"])
@pytest.mark.parametrize("is_dripped", [False, True])
async def test_equal_lengths_are_one(fields: str, interim: str, is_dripped: bool) -> None:
    """Two servers in a row may each say the length; RFC 9110 section 8.6 lets us read it once."""
    said = f"{interim}{OK}{fields}\r\n\r\nabc".encode()
    async with Origin({"/x": drip_raw(said, pause_seconds=0.0) if is_dripped else answer(said)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.body == b"abc"
    assert outcome.source is not None
    assert outcome.source.declared_bytes == 3


async def test_long_field_is_taken() -> None:
    """Policies and cookies of some stores have tens of kilobytes."""
    assert (await hear(f"{OK}X: {'a' * 60_000}\r\nContent-Length: 3\r\n\r\nabc")).body == b"abc"


@pytest.mark.parametrize("frame", [b"\0\0\x12\4\0\0\0\0\0" + bytes(18), b"\0\0\x08\7\0\0\0\0\0" + bytes(8)])
async def test_source_that_speaks_http2_only_is_told(frame: bytes) -> None:
    """Its settings or its farewell are no answer of HTTP/1.1."""
    outcome = await hear(frame)
    assert outcome.code == "http2-only"
    async with Origin({"/x": drip_raw(frame, pause_seconds=0.0)}) as origin:
        assert (await attack(origin.url("/x"), lab_settings(origin))).code in {"http2-only", "bad-response"}


async def test_h09_folded_field_that_decides_nothing_is_one_blank() -> None:
    """RFC 9112 section 5.2 lets a client read a folded line so; where it decides something it is refused."""
    assert (await hear(OK + "X: a\r\n b\r\nContent-Length: 3\r\n\r\nabc")).body == b"abc"


@pytest.mark.parametrize(
    "body",
    [
        *(
            "zz\r\nabc\r\n0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "3\nabc\n0\n\n",
            "3\r\nabcd\r\n0\r\n\r\n",
        ),
        *(
            "ffffffffffffffffff\r\nabc",
            "\r\nabc\r\n0\r\n\r\n",
            "3\r\nabcX\r0\r\n\r\n",
        ),
        *(
            "3\r\nabc\r\n0\r\n" + "A: b\r\n" * 1000 + "\r\n",
            "3\r\nabc\r\n0\r\nA: " + "b" * 100_000 + "\r\n\r\n",
        ),
        *("3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",),
        "+3\r\nabc\r\n0\r\n\r\n",
    ],
)
async def test_h07_h08_broken_chunks_and_trailers_are_refused(body: str) -> None:
    """Sizes that are none, and trailers that are too many, too long or would change the framing."""
    outcome = await hear(CHUNKS + body)
    assert isinstance(outcome.failure, BadResponse | Truncated)
    assert outcome.body in {b"", b"abc"}


async def test_h07_broken_chunk_in_mid_body_is_told_as_such() -> None:
    """Also when it comes long after the head."""
    broken = asyncio.Event()

    async def behave(exchange) -> None:
        await exchange.send(CHUNKS + "3\r\nabc\r\n")
        await broken.wait()
        await exchange.send("zz\r\nabc\r\n")
        await exchange.wait_gone()

    async with Origin({"/x": behave}) as origin, nothing_left():
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin), lambda _: None) as source:
            assert await source.read() == b"abc"
            broken.set()
            with pytest.raises(BadResponse):
                await source.read()
        await origin.wait_idle()


async def test_h08_framing_in_a_trailer_changes_nothing() -> None:
    """A coding after the body cannot change how the body was read."""
    outcome = await hear(CHUNKS + "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert outcome.code == "bad-response" or outcome.body == b"abc"


async def test_h08_digest_in_a_trailer_changes_nothing() -> None:
    """What comes after the body is not taken for what stood before it."""
    trailer = "Repr-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n"
    async with Origin({"/x": chunked([b"abc"], trailers=trailer)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.body == b"abc"
    assert outcome.source is not None
    assert outcome.source.digests == {}


@pytest.mark.parametrize(
    "status",
    [
        "101 Switching",
        "204 No",
        "205 Reset",
        "206 Part",
        "201 Made",
        "300 Many",
        "304 Not",
        "305 Proxy",
        "306 Old",
    ],
)
async def test_h11_r11_other_statuses_bring_nothing(status: str) -> None:
    """Neither an upgrade nor a part that nobody asked for, nor a choice of places."""
    raw = (
        f"HTTP/1.1 {status}\r\nLocation: /y\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"
    )
    outcome = await hear(raw)
    assert isinstance(outcome.failure, SourceStatus)
    assert outcome.failure.status == int(status[:3])


async def test_r11_refresh_is_not_followed() -> None:
    """Neither a Refresh field nor a page that says so is a redirect."""
    page = b'<meta http-equiv="refresh" content="0;url=/y">'
    async with Origin({"/x": serve(page, fields={"Refresh": "0; url=/y"}), "/y": serve(b"no")}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.body == page
    assert len(origin.requests) == 1


@pytest.mark.parametrize("status", ["999 X", "99 X", "000 X", "1000 X", "abc X", "-200 OK", "20 OK", ""])
async def test_h11_statuses_that_do_not_exist_are_refused(status: str) -> None:
    """A status line is three digits from 100 to 599."""
    outcome = await hear(f"HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nabc")
    assert isinstance(outcome.failure, BadResponse)


BANNERS = [
    b"SSH-2.0-OpenSSH_9.9 SECRET\r\n",
    b"-ERR unknown SECRET\r\n",
    b"220 mail.SECRET ESMTP\r\n",
    b"<html>SECRET</html>",
    b"\x00\x00\x00SECRET",
    b"RFB 003.008\nSECRET",
    b"HTTP/9.9 200 SECRET\r\n\r\n",
    b"\x16\x03\x01SECRET",
    b"SECRET" * 20_000,
]


@pytest.mark.parametrize("banner", BANNERS, ids=range(len(BANNERS)))
@pytest.mark.parametrize("is_early", [False, True])
async def test_h12_other_services_are_told_apart_by_nobody(banner: bytes, is_early: bool) -> None:
    """Whatever speaks there, the submitter reads one sentence of ours; the log has the rest."""
    route = answer(banner)
    async with Origin({"/x": route}, greeting=banner if is_early else b"") as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, BadResponse)
    assert outcome.failure.reason == "it is malformed, or its head is too large"
    assert "SECRET" not in outcome.told
    assert "SECRET" not in str(outcome.failure)
    assert all(note.isascii() and note.isprintable() for note in outcome.failure.__notes__)


async def test_h12_banners_take_the_same_time() -> None:
    """Time tells the services apart no better than words do."""
    times = [(await hear(banner)).seconds for banner in BANNERS]
    assert max(times) < 0.5


@pytest.mark.parametrize("code", [401, 403, 407])
async def test_h13_refusals_of_the_source_are_told(code: int) -> None:
    """Who needs a login gets told; no login is made up."""
    asked = "WWW-Authenticate: Basic\r\nProxy-Authenticate: Basic\r\n"
    outcome = await hear(f"HTTP/1.1 {code} No\r\n{asked}Content-Length: 0\r\n\r\n")
    assert outcome.failure is not None
    assert outcome.failure.public_fields()["status"] == code


async def test_h13_wait_of_the_source_is_limited() -> None:
    """A billion seconds are two minutes."""
    outcome = await hear("HTTP/1.1 429 Slow\r\nRetry-After: 1000000000\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(outcome.failure, SourceStatus)
    assert outcome.failure.retry_after_seconds == 120.0


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd", "SECRET"])
async def test_z04_codings_are_refused_before_any_byte(coding: str) -> None:
    """A bomb that is never decoded is just bytes, and those are refused too."""
    outcome = await hear(f"{OK}Content-Encoding: {coding}\r\nContent-Length: 3\r\n\r\nabc")
    assert isinstance(outcome.failure, EncodingForbidden)
    assert outcome.body == b""
    assert "SECRET" not in outcome.told


async def test_z04_compressed_file_keeps_its_bytes() -> None:
    """A .gz labelled gzip arrives as the file that it is, bit for bit."""
    packed = gzip.compress(bytes(1_000_000))
    async with Origin({"/x.img.gz": serve(packed, fields={"Content-Encoding": "gzip"})}) as origin:
        outcome = await attack(origin.url("/x.img.gz"), lab_settings(origin))
    assert outcome.body == packed
    assert outcome.source is not None
    assert outcome.source.coding == "gzip"


@pytest.mark.parametrize("count", [1, 3, 16])
async def test_h10_few_interim_answers_are_passed_over(count: int) -> None:
    """100 and 103 announce an answer; a few of them are honest."""
    outcome = await hear(
        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * count + OK + "Content-Length: 3\r\n\r\nabc"
    )
    assert outcome.body == b"abc"


async def test_h10_interim_answers_without_end_are_cut_off() -> None:
    """The seventeenth is one too many, however fast they come."""
    outcome = await hear("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 17 + OK + "Content-Length: 3\r\n\r\nabc")
    assert isinstance(outcome.failure, BadResponse)

    async def flood(exchange) -> None:
        while True:
            await exchange.send("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 1000)

    async with Origin({"/x": flood}) as origin:
        began = time.process_time()
        outcome = await attack(origin.url("/x"), lab_settings(origin))
        assert time.process_time() - began < 1.0
    assert isinstance(outcome.failure, BadResponse)


@pytest.mark.parametrize("raw", ["", "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le"])
async def test_h12_nothing_and_half_a_head_are_no_connection(raw: str) -> None:
    """Who hangs up before the head is complete has not answered."""
    assert (await hear(raw)).code == "connect-failed"


@pytest.mark.parametrize("length", ["1000000000", None])
async def test_r10_body_of_a_redirect_is_never_read(length: str | None) -> None:
    """A gigabyte behind a redirect, or no end at all: the connection is dropped at its head."""
    sent = 0

    async def behave(exchange) -> None:
        nonlocal sent
        fields = {"Location": "/y"} | ({"Content-Length": length} if length else {})
        await exchange.send_head("302 Found", fields)
        while True:
            await exchange.send_body(bytes(65536))
            sent += 65536

    async with Origin({"/x": behave, "/y": serve(b"abc")}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
        await origin.wait_idle()
    assert outcome.body == b"abc"
    assert sent < 16_000_000  # what kernels buffer on the way


async def test_z02_endless_body_is_held_back_by_whoever_reads() -> None:
    """Nobody reads, so the source cannot send: memory does not fill."""

    async def behave(exchange) -> None:
        await exchange.send_head(200, {"Connection": "close"})
        while True:
            await exchange.send_body(bytes(65536))

    async with Origin({"/x": behave}) as origin, nothing_left():
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin), lambda _: None) as source:
            chunk = await source.read()
            before = -1
            while origin.sent_bytes != before:
                before = origin.sent_bytes
                await asyncio.sleep(0.05)
            assert before < 16_000_000
            assert 0 < len(chunk) <= 1_048_576
            assert len(await source.read()) <= 1_048_576
        await origin.wait_idle()


async def test_h06_chunks_of_one_byte_do_not_exhaust_us() -> None:
    """Six bytes on the wire for each byte of body: slow, bounded, right."""
    parts = [b"a"] * 50_000
    raw = CHUNKS.encode() + b"".join(b"1\r\n" + part + b"\r\n" for part in parts) + b"0\r\n\r\n"
    outcome = await hear(raw)
    assert outcome.body == b"".join(parts)
    assert outcome.seconds < 60


async def test_z04_redirect_to_a_nameless_object_keeps_the_file() -> None:
    """Whether a label is the file's own is judged by every name on the way."""
    packed = gzip.compress(b"abc" * 1000)
    routes = {"/x.gz": redirect("/y"), "/y": serve(packed, fields={"Content-Encoding": "gzip"})}
    async with Origin(routes) as origin:
        outcome = await attack(origin.url("/x.gz"), lab_settings(origin))
    assert outcome.body == packed


async def test_h09_lines_that_end_with_lf_alone_are_refused() -> None:
    """RFC 9112 section 2.2 lets a recipient take them; one that does not would see another head."""
    for head in (
        "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nabc",
    ):
        outcome = await hear(head)
        assert isinstance(outcome.failure, BadResponse), head


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_h09_lines_are_judged_however_they_come(size: int) -> None:
    """What is refused in one piece is refused in many, and what passes passes."""
    heads = {
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n 3\r\n\r\n": True,
        "HTTP/1.1 200 OK\r\nX: a\nContent-Length: 3\r\n\r\n": True,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nLocation:\r\n\t/x\r\n\r\n": True,
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\n": False,
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\nb\n c": False,
    }
    for head, is_refused in heads.items():
        lines, data = HeadLines(), head.encode()
        found = [lines.objection(data[at : at + size]) for at in range(0, len(data), size)]
        assert any(found) is is_refused, head
