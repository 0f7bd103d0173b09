"""Which URLs may be submitted: rows U01 to U18 of the attacks, and their neighbours."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from fetcher.config import Settings, load_settings
from fetcher.errors import InvalidUrl
from fetcher.guards.request.redaction import is_redacted
from fetcher.guards.request.url import _agree, check_url, redact_url
from fetcher.guards.request.url_guard import limits
from tests.lab import words

SETTINGS = load_settings()


def rule_of(raw: str, settings: Settings = SETTINGS) -> str:
    """Find which rule a URL breaks; `passed` if none."""
    try:
        check_url(raw, settings)
    except InvalidUrl as error:
        return error.rule
    return "passed"


def with_url(**changes: Any) -> Settings:
    """Change keys of [url]."""
    return load_settings(changes={"url": changes})


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("https://a.example", "https://a.example/"),
        ("https://a.example?x", "https://a.example/?x"),
        ("HtTpS://A.Example.:443/X?", "https://a.example/X"),
        ("http://a.example:80/x%7E%2fy?a=%20+b", "http://a.example/x%7E%2fy?a=%20+b"),
        ("http://a.example:443/", "http://a.example:443/"),
        ("https://r3---sn-x.a_b.example/a|b{c}", "https://r3---sn-x.a_b.example/a%7Cb%7Bc%7D"),
        ("https://a.example/\u00e9?\u00fc", "https://a.example/%C3%A9?%C3%BC"),
        ("https://a.example//x/../y;z=1/@u", "https://a.example//x/../y;z=1/@u"),
    ],
)
def test_u02_good_urls_are_kept_in_one_form(raw: str, text: str) -> None:
    """Scheme and host are normalised; what a signature may cover is not touched."""
    assert check_url(raw, SETTINGS).text == text


@pytest.mark.parametrize(
    "raw",
    [
        *("file:///etc/passwd", "ftp://a.example/", "gopher://a.example/", "data:,x", "unix:///run/x"),
        *(
            "http+unix://%2Frun%2Fx/",
            "//a.example/x",
            "",
            "://a.example/",
            "a.example/x",
            "/x",
            "ws://a.example/",
        ),
        *(
            "javascript:alert(1)",
            "view-source:http://a.example/",
            "blob:http://a.example/",
            "1http://a.example/",
        ),
        *("h\u0442tp://a.example/", "jar:http://a.example!/", "httpss://a.example/", "tcp://a.example/"),
    ],
)
def test_u01_other_schemes_are_refused(raw: str) -> None:
    """Nothing but https and http is fetched, whatever a library would make of it."""
    assert rule_of(raw) == "scheme"


def test_u01_http_may_be_switched_off() -> None:
    """An operator may insist on https."""
    assert rule_of("http://a.example/", with_url(schemes=["https"])) == "scheme"
    assert rule_of("https://a.example/", with_url(schemes=["https"])) == "passed"


@pytest.mark.parametrize(
    "raw",
    words(
        """
        http://a.example@127.0.0.1/ http://u:p@ok.example/ http://@a.example/ http://u@a.example:80/
        http://a%40b@c.example/ http://a@b@c.example/ https://:@a.example/ http://u:p@[::1]/
        """
    ),
)
def test_u03_userinfo_is_refused_unseen(raw: str) -> None:
    """A host may hide behind a name before @, and a password would end up in logs."""
    assert rule_of(raw) == "userinfo"


@pytest.mark.parametrize("port", [22, 25, 6379, 9200, 11211, 1, 65535, 8080])
def test_u07_other_ports_are_refused(port: int) -> None:
    """Other ports belong to other services, which a request line can do harm to."""
    assert rule_of(f"http://a.example:{port}/") == "port"


@pytest.mark.parametrize(
    "port", ["", "0", "00080", "080", "+80", "-80", " 80", "8 0", "80a", "0x50", "65536", "99999999"]
)
def test_u07_ports_in_other_forms_are_refused(port: str) -> None:
    """Parsers disagree on what these are, so they are nothing here."""
    assert rule_of(f"http://a.example:{port}/") in {"port", "characters"}


def test_u07_digits_of_other_scripts_are_no_port() -> None:
    """`int()` takes them for numbers; a port is ASCII."""
    assert rule_of("http://a.example:\uff18\uff10/") == "port"


def test_u07_port_of_an_allowed_range_may_be_named() -> None:
    """A port opened for one range may stand in a URL; the dial then decides whether the pair is allowed."""
    opened = load_settings(changes={"address": {"allow": [{"cidr": "10.1.0.0/16", "ports": [8443]}]}})
    assert rule_of("https://mirror.example:8443/", opened) == "passed"
    assert rule_of("https://mirror.example:8444/", opened) == "port"


@pytest.mark.parametrize(
    "host",
    [
        *("%31%32%37.0.0.1", "127.0.0.1%00.ok.example", "ok.example%2e", "a.exam%70le", "%61.example"),
        *("a.example%0d%0a", "a..b", ".a.example", "a.example..", "-a.example", "a-.example", "a.-b.example"),
        *(
            "a!b.example",
            "a,b.example",
            "(a).example",
            "a*b.example",
            "a~b.example",
            "a'b.example",
            "$a.example",
        ),
        *("x" * 64 + ".example", "a." * 150 + "example", ".", "..", "_", "-", "a=b.example", "a;b.example"),
    ],
)
def test_u09_u12_hosts_of_other_characters_and_lengths_are_refused(host: str) -> None:
    """A host is letters, digits, hyphens and underscores, in labels of 63, in names of 253."""
    assert rule_of(f"http://{host}/") in {"host", "host-name"}


def test_u12_longest_names_pass() -> None:
    """At the limits a label and a name still pass; one past them they do not."""
    label = "a" * 63
    longest = ".".join([label, label, label, "b" * 53, "example"])
    assert len(longest) == 253
    assert rule_of(f"http://{longest}/") == "passed"
    assert rule_of(f"http://b{longest}/") == "host"


@pytest.mark.parametrize(
    "host",
    [
        *("[v1.fe80]", "[fe80::1%25eth0]", "[::1%lo]", "[::1", "::1]", "[::1]x", "[]", "[::1]]", "[[::1]]"),
        *("[127.0.0.1]", "[::1%]", "[1:2:3:4:5:6:7:8:9]", "[::ffff:1.2.3.4.5]", "[::1]:[80]", "[a.example]"),
        *("[0:0:0:0:0:0:0:0:1]", "[::g]", "[fe80::1%25]"),
    ],
)
def test_u10_brackets_hold_a_plain_address_or_nothing_is_fetched(host: str) -> None:
    """Future versions, zones and unbalanced brackets are not addresses."""
    assert rule_of(f"http://{host}/", with_url(allow_literals=True)) in {"host", "port"}


@pytest.mark.parametrize(
    "host",
    words(
        """
        localhost localhost. LOCALHOST LocalHost. metadata x.local x.internal x.onion
        metadata.google.internal a.localhost x.LOCAL. instance-data kubernetes.default a.corp
        1.0.0.127.in-addr.arpa router.lan a.home.arpa a.b.svc.cluster.local printer x.invalid
        """
    ),
)
def test_u11_inner_names_are_refused(host: str) -> None:
    """Trailing dot and case make no difference."""
    wanted = "host-name" if not host.startswith("kubernetes") else "passed"
    assert rule_of(f"http://{host}/") == wanted


def test_u11_operator_may_allow_a_name() -> None:
    """An inner mirror can be named; its address is judged all the same."""
    allowed = with_url(allow_hosts=["Mirror.", "x.internal"])
    assert rule_of("http://mirror/", allowed) == "passed"
    assert rule_of("http://X.internal./", allowed) == "passed"
    assert rule_of("http://y.internal/", allowed) == "host-name"


@pytest.mark.parametrize(
    "raw", ["https://a.example/" + "a" * 2**21, "https://" + "a." * 2**20, "a" * 2**21, "%" * 2**21]
)
def test_u12_huge_urls_are_refused_at_once(raw: str) -> None:
    """Two mebibytes cost no more than the comparison of a length."""
    began = time.perf_counter()
    assert rule_of(raw) == "length"
    assert time.perf_counter() - began < 0.05


def test_u12_length_is_counted_in_the_form_that_is_sent() -> None:
    """At the limit passes, one past it fails, and escapes count."""
    begin = "https://a.example/"
    assert rule_of(begin + "a" * (8192 - len(begin))) == "passed"
    assert rule_of(begin + "a" * (8193 - len(begin))) == "length"
    assert rule_of(begin + "\u00e9" * 1400) == "length"


def test_u13_host_ends_before_fragment_and_query() -> None:
    """Whatever follows # or ?, the host is what stands before it."""
    assert rule_of("http://127.0.0.1#@ok.example/") in {"fragment", "literal"}
    assert rule_of("http://127.0.0.1?@ok.example/") == "literal"
    assert rule_of("http://localhost?.ok.example/") == "host-name"
    assert rule_of("https://a.example/#x") == "fragment"
    assert rule_of("https://a.example/#") == "fragment"


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "http://a.example\\@127.0.0.1/",
            "http:\\\\a.example/",
            "http://a.example/\\..",
            "https://a.ex\tample/",
        ),
        *(
            "https://a.example/ x",
            " https://a.example/",
            "https://a.example/\n",
            "\nhttps://a.example/",
            "\x00",
        ),
        *(
            "https://a.example/\x7f",
            "https://a.example/\u202e",
            "https://a.ex\u00adample/",
            "https://a.example/\ud800",
        ),
        *(
            "https://a.example\u2028/",
            "https://a.example\u00a0/",
            "https://a\u200b.example/",
            "https://a.example\u3000/",
        ),
        *(
            "http://127.0.0.1\u00a0.a.example/",
            "http\x00://a.example/",
            "https://a.example/\x85",
            "\ufeffhttps://a.example/",
        ),
    ],
)
def test_u09_invisible_characters_and_backslashes_are_refused(raw: str) -> None:
    """Parsers drop, move or turn these, each in its own way."""
    assert rule_of(raw) == "characters"


@pytest.mark.parametrize("escape", ["%", "%1", "%zz", "%u0041", "%%41", "%-1", "% 1"])
def test_broken_escapes_are_refused(escape: str) -> None:
    """An escape that is none means something else to each server."""
    assert rule_of(f"https://a.example/{escape}") in {"escape", "characters"}
    assert rule_of(f"https://a.example/?{escape}") in {"escape", "characters"}


@pytest.mark.parametrize(
    "host",
    words(
        """
        127.0.0.1 10.0.0.1 0.0.0.0 0.1.2.3 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] 93.184.216.34
        [2606:4700::1111] 169.254.169.254 [fe80::1] 255.255.255.255
        """
    ),
)
def test_a01_addresses_in_place_of_names_are_refused(host: str) -> None:
    """Public or not: who means well has a name."""
    assert rule_of(f"http://{host}/") == "literal"


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0177.0.0.1", "127.1", "127.0.0.1.", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "0X7F.1"),
        *("017700000001", "1.1", "0", "1.2.3", "1.2.3.4.5", "256.1.1.1", "127.0.0.01", "0x", "a.0x7f", "a.1"),
        *(
            "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020\u30020\u30021",
            "127\uff0e0\uff0e0\uff0e1",
        ),
        *("127\uff610\uff610\uff611", "4294967296", "00000000000000000000000127.0.0.1", "127.0.0.1.."),
    ],
)
def test_a02_addresses_in_other_forms_are_refused(host: str) -> None:
    """What libc, a browser or a normaliser would take for an address never gets that far."""
    for settings in (SETTINGS, with_url(allow_literals=True)):
        assert rule_of(f"http://{host}/", settings) == "host"


def test_a10_address_of_an_allowed_range_may_be_named() -> None:
    """The operator's own mirror may be named by its address, and only that one."""
    opened = load_settings(changes={"address": {"allow": [{"cidr": "10.1.0.0/16"}, {"cidr": "fd00::/64"}]}})
    assert check_url("http://10.1.2.3/x", opened).host == "10.1.2.3"
    assert check_url("http://[FD00:0::1]/x", opened).text == "http://[fd00::1]/x"
    assert rule_of("http://10.2.0.1/", opened) == "literal"
    assert rule_of("http://[::ffff:10.1.2.3]/", opened) == "literal"


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("B\u00fcCHER.Example", "xn--bcher-kva.example"),
        ("fa\u00df.example", "xn--fa-hia.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("\u0430pple.example", "xn--pple-43d.example"),
    ],
)
def test_n11_names_in_other_scripts_become_a_labels(host: str, wanted: str) -> None:
    """A homograph is shown as what it is, and no letter is mapped to another."""
    assert check_url(f"https://{host}/", SETTINGS).host == wanted


@pytest.mark.parametrize(
    "host",
    [
        *("xn--zzzzzz.example", "xn--a.example", "xn--.example", "xn--bcher-kva-.example", "\u2603.example"),
        *(
            "\u00dcber.example",
            "xn--fa-hia\u00e9.example",
            "\u0301a.example",
            "xn--127-.example",
        ),
        *(
            "x" * 62 + "\u00fc.example",
            "\u00fc" * 250 + ".example",
            "\ufb01.example",
            "a.\u00e9xn--",
            "\u2488.example",
        ),
    ],
)
def test_n11_invalid_names_in_other_scripts_are_refused(host: str) -> None:
    """IDNA 2008 without any mapping: what is not valid as it stands is not fetched."""
    assert rule_of(f"https://{host}/") == "host"


SECRET = "Kx7QpSECRETz9"


@pytest.mark.parametrize(
    "raw",
    [
        f"https://a.example/x?X-Amz-Signature={SECRET}",
        f"https://a.example/x?{SECRET}",
        f"https://a.example/x?a=1&{SECRET}=&b={SECRET}",
        f"https://u:{SECRET}@a.example/x",
        f"https://{SECRET}@a.example/",
        f"http://u:{SECRET}/x@a.example/",
        f"http:\\\\u:{SECRET}@a.example/",
        f"u:{SECRET}@a.example",
        f"https://a.example/x#{SECRET}",
        f"https://a.example/?sig={SECRET}&amp;{SECRET}",
        f"https://a.example/?a[{SECRET * 4}]=1",
        f"https:/u:{SECRET}@a.example/",
        f"http://a.example\n?x={SECRET}",
    ],
)
def test_u18_secrets_are_not_shown(raw: str) -> None:
    """Signatures, tokens and passwords go before anybody can log them."""
    assert SECRET not in redact_url(raw)


def test_u18_what_is_no_secret_is_shown() -> None:
    """A redacted URL still tells where the bytes come from."""
    assert (
        redact_url("https://a.example:8443/x/y.img?a=1&b")
        == "https://a.example:8443/x/y.img?a=REDACTED&REDACTED"
    )
    assert redact_url("http://[::1]:80/@scope/x") == "http://[::1]:80/@scope/x"


@pytest.mark.parametrize(
    "query",
    [
        *("version=13.1", "arch=amd64", "raw=true", "file=debian-13-generic-amd64.qcow2", "release=trixie"),
        *("build=20251130", "path=images%2Fdisk.img", "os=linux", "lang=en-US", "disk=x86_64&download=1"),
    ],
)
def test_u18_harmless_values_of_a_query_are_shown(query: str) -> None:
    """Names, numbers and versions tell where the bytes come from, and open no door."""
    assert redact_url(f"https://a.example/x?{query}") == f"https://a.example/x?{query}"
    assert not is_redacted(f"https://a.example/x?{query}")


@pytest.mark.parametrize(
    "field",
    [
        *(
            "token=1",
            "access_token=abc",
            "sig=abc",
            "X-Amz-Credential=me",
            "X-Amz-Date=20251130",
            "apikey=abc",
        ),
        *("Policy=abc", "Key-Pair-Id=abc", "password=hunter2", "sv=2020-01-01", "code=1234", "user=me"),
        *("x=Kx7QpSz9", "file=Kx7QpSz9ab", "id=3f2a9c1b7d", "ref=deadbeefdeadbeefdead", "v=a%40b.example"),
        *("id=%4b%78%37Qp%53z9", "file=ZmlsZSBvZiBzZWNyZXRz", "opaque=7f3a-9b1c-2d4e", "data=abc%0ax"),
    ],
)
def test_u18_values_that_may_be_secrets_are_not_shown(field: str) -> None:
    """By the name, or because the value looks random; in doubt it is one."""
    name = field.partition("=")[0]
    shown = redact_url(f"https://a.example/x?{field}&raw=true")
    assert shown == f"https://a.example/x?{name}=REDACTED&raw=true"
    assert is_redacted(shown)


@given(raw=st.text() | st.text(alphabet="htps:/?#[]@%&=.\\ab1\n\x1b\u00e9", max_size=40))
def test_s04_redacted_urls_are_harmless_text(raw: str) -> None:
    """Whatever was submitted, what is shown fits on one line of any terminal, and nothing raises."""
    shown = redact_url(raw)
    assert len(shown) <= 512
    assert all("!" <= letter <= "~" for letter in shown)


TOKENS = (
    "http https : // / ? # @ [ ] % %2e %00 . .. a b.example 127.0.0.1 ::1 80 443 0x7f 1 - _ xn-- \\ & = "
    "+ ; , localhost \t \u00fc \u3002 \uff0e \u2460"
)
PIECES = st.lists(st.sampled_from(TOKENS.split(" ")), max_size=14).map("".join)


@given(raw=PIECES | st.text(max_size=60) | PIECES.map(lambda tail: "http://" + tail))
def test_what_passes_means_the_same_to_every_parser(raw: str) -> None:
    """The parser that dials, the standard library's and ours agree on what passed, and it passes again."""
    if rule_of(raw) != "passed":
        return
    checked = check_url(raw, SETTINGS)
    dialled, other = URL(checked.text, encoded=True), urlsplit(checked.text)
    assert (dialled.raw_host, dialled.port, dialled.scheme) == (checked.host, checked.port, checked.scheme)
    assert other.hostname == checked.host
    assert (other.port or {"http": 80, "https": 443}[other.scheme]) == checked.port
    assert check_url(checked.text, SETTINGS) == checked
    assert "." in checked.host
    assert dialled.user is None


REASONS: set[str] = set()


@given(raw=PIECES | st.text(max_size=60))
def test_reasons_quote_nothing_of_the_url(raw: str) -> None:
    """A reason comes from a short list of ours, so it can be shown to anybody."""
    try:
        check_url(raw, SETTINGS)
    except InvalidUrl as error:
        REASONS.add(error.reason)
    assert len(REASONS) < 30


@pytest.mark.parametrize(
    ("host", "target"), [("a.example/@b", "/"), ("a.example@b", "/"), ("a:b]", "/"), ("[", "/"), ("a", "?")]
)
def test_parsers_that_disagree_end_it(host: str, target: str) -> None:
    """Should our reading of a URL ever differ from that of the parser that dials, nothing is fetched."""
    with pytest.raises(InvalidUrl) as caught:
        _agree("http", host, 80, target, SETTINGS)
    assert caught.value.rule == "syntax"


def test_limits_are_published() -> None:
    """What is enforced is what is told."""
    told = {limit.name: limit.value for limit in limits(SETTINGS)}
    assert told["url_schemes"] == ["https", "http"]
    assert told["url_ports"] == [80, 443]
    assert told["max_url_bytes"] == 8192


@pytest.mark.parametrize(
    ("host", "pattern", "rule"),
    [
        ("image.corp", "*.corp", "passed"),
        ("a.b.corp", "*.corp", "passed"),
        ("image.corp", "IMAGE.corp.", "passed"),
        ("corp", "*.corp", "host-name"),
        ("ximage.corp", "image.corp", "host-name"),
        ("image.corp.local", "*.corp", "host-name"),
        ("a.image.corp", "image.corp", "host-name"),
    ],
)
def test_operator_names_inner_hosts_or_all_below_a_name(host: str, pattern: str, rule: str) -> None:
    """`*.corp` allows every name below corp, not corp itself."""
    settings = load_settings(changes={"url": {"allow_hosts": [pattern]}})
    try:
        found = check_url(f"https://{host}/x", settings).host
    except InvalidUrl as error:
        found = error.rule
    assert found == (host if rule == "passed" else rule)
