"""The documents as a site: built strictly, whole, from this host alone, and served by the service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml

from fetcher import __version__
from fetcher.api import documents
from tests.service import Running

ROOT = Path(__file__).parent.parent
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [Path(sys.executable).with_name("mkdocs"), "build", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """What a page loads, where it links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        is_page = tag == "link" and found.get("rel") in {"prev", "next", "canonical"}
        if not is_page and found.get(LOADS.get(tag, "")):
            self.loads.append(found[LOADS[tag]])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "script" and "src" not in found and found.get("type") != "application/json":
            self.inline.append(tag)
        self.inline += [name for name in found if name.startswith("on")]


def pages(site: Path) -> Iterator[tuple[str, Page]]:
    for path in sorted(site.rglob("*.html")):
        yield f"/{path.relative_to(site)}", Page(path.read_text())


def test_nothing_is_loaded_from_elsewhere_and_no_script_is_inline(site: Path) -> None:
    """A reader without a network sees it whole, and a policy needs no exception for scripts."""
    found = [*pages(site)]
    assert len(found) > 30
    for name, page in found:
        assert page.inline == [], name
        assert page.loads, name
        for link in page.loads:
            parts = urlsplit(link)
            assert not parts.netloc, f"{name}: {link}"
            assert parts.scheme in {"", "data"}, f"{name}: {link}"
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", path.read_text()), path


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    """Links between pages, to files and to headings all arrive."""
    found = dict(pages(site))
    for name, page in found.items():
        for link in page.links + page.loads:
            target = urlsplit(urljoin(name, link))
            if target.scheme or target.netloc:
                assert target.scheme in {"https", "http", "data"}, f"{name}: {link}"
                continue
            path = unquote(target.path).removesuffix("index.html")
            path += "index.html" if path.endswith("/") else ""
            assert (site / path.lstrip("/")).is_file(), f"{name}: {link}"
            if target.fragment and path in found:
                assert unquote(target.fragment) in found[path].anchors | {"__skip"}, f"{name}: {link}"


def test_the_site_is_that_of_this_version(site: Path) -> None:
    """A reader sees which version it describes; each version is built into a folder of its own."""
    assert f"Glance Fetcher {__version__}" in (site / "index.html").read_text()
    configured = (ROOT / "mkdocs.yml").read_text()
    assert yaml.safe_load(configured)["site_dir"] == "site/current"
    assert (ROOT / "site" / __version__) == documents.SITE
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/site/" in ignored


async def test_the_service_serves_it(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under /docs, to everybody, with a policy; nothing beside the site can be reached."""
    monkeypatch.setattr(documents, "SITE", site)
    (site.parent / "secret").write_text("secret")
    async with Running(tmp_path) as service:
        for path, kind in (
            ("/docs/", "text/html"),
            ("/docs/tutorial/", "text/html"),
            ("/docs/assets/site.css", "text/css"),
        ):
            async with service.client.get(path) as answer:
                assert (answer.status, answer.content_type) == (200, kind)
                policy = answer.headers["Content-Security-Policy"]
                assert "script-src 'self';" in policy
                assert "//" not in policy
        for path in ("/docs", "/docs/tutorial"):
            async with service.client.get(path, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (307, f"{path}/")
        for path in (
            "/docs/nope",
            "/docs/%2e%2e/secret",
            "/docs/..%2fsecret",
            "/docs//etc/passwd",
            "/docs/" + "a" * 5000,
        ):
            status, answer, _ = await service.call("GET", path)
            assert (status, answer["code"]) == (404, "not-found"), path
        status, answer, _ = await service.call("GET", "/docs/%00")
        assert (status, answer["code"]) == (400, "request-invalid")
        assert (await service.call("POST", "/docs/"))[0] == 405


async def test_a_service_without_the_site_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout in which `make docs` has not been run answers 404, and names the command."""
    monkeypatch.setattr(documents, "SITE", tmp_path / "none")
    async with Running(tmp_path) as service:
        status, answer, _ = await service.call("GET", "/docs/")
    assert (status, answer["code"]) == (404, "not-found")
    assert "make docs" in answer["detail"]
