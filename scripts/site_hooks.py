"""What MkDocs does beyond its own: pages from the repository's root, links to its files, no inline script.

MkDocs calls these functions by their names (`hooks` of mkdocs.yml).
"""

import hashlib
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from fetcher import __version__

ROOT = Path(__file__).parent.parent
# Pages that stand in the root, where a repository's host shows them; README's place is taken by index.md.
FROM_ROOT = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
PAGES = {**FROM_ROOT, "README.md": "index.md"}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")
# Without a source: what would have to stand in a policy as 'unsafe-inline'.
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
SEARCH = '<div class="md-search" data-md-component="search" role="dialog"'  # A dialog without a name.
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Name the version, and build into its folder: a site is that of one version."""
    config.copyright = f"Glance Fetcher {__version__}. Apache-2.0."
    config.site_name = f"Glance Fetcher {__version__}"
    config.site_dir = config.site_dir.replace("current", __version__)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root, and every file of the repository that a page links to."""
    for name, page in FROM_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    icon = ROOT / "fetcher/api/page/static/icon.svg"
    files.append(File.generated(config, "assets/icon.svg", abs_src_path=str(icon)))
    for file in [*files.documentation_pages()]:
        for _, target, _ in LINK.findall(file.content_string):
            path = _in_repository(file.src_uri, target)
            place = _place(path)
            is_there = files.get_file_from_path(place) is not None
            if not is_there and not path.startswith("docs/") and (ROOT / path).is_file():
                files.append(File.generated(config, place, content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead to where files stand in the site; code stays as it is."""

    def moved(found: re.Match[str]) -> str:
        path = _in_repository(page.file.src_uri, found[2])
        start = posixpath.dirname(page.file.src_uri) or "."
        return f"[{found[1]}]({posixpath.relpath(_place(path), start)}{found[3] or ''})"

    parts = FENCE.split(markdown)
    return "".join(part if number % 2 else LINK.sub(moved, part) for number, part in enumerate(parts))


def _in_repository(page: str, target: str) -> str:
    """Return where in the repository a page's link leads."""
    roots = {new: old for old, new in FROM_ROOT.items()}
    source = roots.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _place(path: str) -> str:
    """Return where a file of the repository stands in the site."""
    return PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}")


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Move inline scripts into files, so that no policy needs `unsafe-inline`; name the search."""

    def moved(found: re.Match[str]) -> str:
        name = f"assets/javascripts/inline-{hashlib.sha256(found[1].encode()).hexdigest()[:12]}.js"
        path = Path(config.site_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found[1])
        return f'<script src="{posixpath.relpath(name, page.url or ".")}"></script>'

    return INLINE.sub(moved, output).replace(SEARCH, f'{SEARCH} aria-label="Search"')


def on_post_build(config: Any) -> None:
    """Remove what is for public hosts of sites: a page for wrong addresses and maps for search engines."""
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):
        (Path(config.site_dir) / name).unlink(missing_ok=True)
