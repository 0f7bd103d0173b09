"""Where a redirect says to go, byte by byte on the wire: row R05 of the attacks and its neighbours."""

import pytest

from fetcher.errors import AddressForbidden, BadRedirect, BadResponse, ConnectFailed, TooManyRedirects
from tests.lab import Canary, Origin, lab_settings
from tests.lab.behaviours import answer, serve
from tests.lab.origin import Exchange
from tests.transport.attack import attack

PORT = b"{port}"
LOCATIONS = {
    "not UTF-8": b"/\xff\xfe",
    "another host in Latin-1": b"//127.0.0.2\xa0:{port}/",
    "scheme-relative": b"//127.0.0.2:{port}/x",
    "three slashes": b"///127.0.0.2:{port}/x",
    "no slashes": b"http:127.0.0.2:{port}/x",
    "one slash": b"http:/127.0.0.2:{port}/x",
    "backslashes": b"\\\\127.0.0.2:{port}\\x",
    "slash and backslash": b"/\\127.0.0.2:{port}/x",
    "tab in the scheme": b"ht\ttp://127.0.0.2:{port}/",
    "tab before the host": b"http://\t127.0.0.2:{port}/",
    "bare carriage return": b"/x\rLocation: http://127.0.0.2:{port}/",
    "NUL": b"/x\0",
    "user and password": b"http://u:p@127.0.0.2:{port}/",
    "many at signs": b"http://a@b@127.0.0.2:{port}/",
    "port of letters": b"http://127.0.0.1:{port}x/",
    "two ports": b"http://127.0.0.1:{port}:{port}/",
    "port zero": b"http://127.0.0.1:0/",
    "mapped": b"http://[::ffff:127.0.0.2]:{port}/",
    "zone": b"http://[::1%25lo]:{port}/",
    "wide digits": "http://\uff11\uff12\uff17.0.0.2:{port}/".encode(),
    "soft hyphen": "http://127.0.0.\u00ad2:{port}/".encode(),
    "quoted": b'"http://127.0.0.2:{port}/"',
    "in angle brackets": b"<http://127.0.0.2:{port}/>",
    "two by a comma": b"http://127.0.0.1:{port}/y, http://127.0.0.2:{port}/",
    "upper case": b"HTTP://127.0.0.2:{port}/",
    "folded": b"/y\r\n http://127.0.0.2:{port}/",
    "folded at once": b"\r\n http://127.0.0.1:{port}/y",
    "relative with a scheme behind": b"x://127.0.0.2:{port}/",
}


@pytest.mark.parametrize("name", LOCATIONS)
async def test_r05_places_that_two_readers_read_in_two_ways(name: str) -> None:
    """Whatever stands there: only the origin itself is ever asked, and nobody is told what stood there."""
    async with Origin({"*": serve(b"image")}) as origin, Canary("127.0.0.2", origin.port) as bird:
        place = LOCATIONS[name].replace(PORT, str(origin.port).encode())
        head = b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n"
        origin.routes["/x"] = answer(head)
        outcome = await attack(origin.url("/x"), lab_settings(origin))
        assert bird.accepted == 0
        # What means nothing but a path of the same origin may be followed there.
        assert outcome.failure is None or isinstance(
            outcome.failure, BadRedirect | BadResponse | AddressForbidden | ConnectFailed | TooManyRedirects
        )
        assert "127.0.0.2" not in outcome.told
        assert {request.header("Host") for request in origin.requests} == {f"127.0.0.1:{origin.port}"}


async def test_r05_place_in_an_interim_answer_is_none() -> None:
    """Only the final head of an answer can send us on."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send("HTTP/1.1 103 Early Hints\r\nLocation: http://127.0.0.2/\r\nLink: </y>\r\n\r\n")
        await serve(b"image")(exchange)

    async with Origin({"/x": behave}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.body == b"image"
    assert len(outcome.hops) == len(origin.requests) == 1
