"""A package index on this machine's disk: what is installed here, and a newer release of everything."""

import base64
import hashlib
import re
import zipfile
from collections.abc import Collection
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
NEWER = "9999.0"
LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def entries(text: str) -> list[str]:
    """Split a lock into its requirements, each with its hashes."""
    return [entry for entry in re.split(r"\n(?=\S)", text.strip()) if entry]


def asked_by(text: str) -> dict[str, Requirement]:
    """Return what a lock asks for on this interpreter, by name."""
    asked = [Requirement(entry.split("\n")[0].rstrip("\\ ")) for entry in entries(text)]
    return {canonicalize_name(one.name): one for one in asked if one.marker is None or one.marker.evaluate()}


class PackageIndex:
    """A folder that pip takes as an index.

    Args:
        folder: Where to put it.
        names: Which of the installed packages to offer.
        whole: Those of them that are offered with their files; the others are their metadata alone.
    """

    def __init__(self, folder: Path, names: Collection[str], whole: Collection[str]) -> None:
        self.folder = folder
        self.digests: dict[str, str] = {}
        for found in distributions():
            name = canonicalize_name(found.name)
            if name in names:
                (folder / name).mkdir(parents=True, exist_ok=True)
                packed = _pack(found, folder / name, is_whole=name in whole)
                self.digests[name] = hashlib.sha256(packed.read_bytes()).hexdigest()
                _newer(name, folder / name)
                files = sorted(path.name for path in (folder / name).glob("*.whl"))
                page = "".join(f'<a href="{file}">{file}</a>\n' for file in files)
                (folder / name / "index.html").write_text(f"<!DOCTYPE html><html><body>{page}</body></html>")

    def lock(self, text: str) -> str:
        """Return a lock with its requirements as they stand and the digests of the packages that are here."""
        lines = []
        for entry in entries(text):
            first = entry.split("\n")[0]
            name = canonicalize_name(Requirement(first.rstrip("\\ ")).name)
            lines.append(f"{first}\n    --hash=sha256:{self.digests.get(name, '0' * 64)}\n")
        return "".join(lines)


def _pack(found: Distribution, folder: Path, *, is_whole: bool) -> Path:
    """Pack what is installed as a wheel; the platform does not matter, since it is the same one."""
    stem = f"{canonicalize_name(found.name).replace('-', '_')}-{found.version}"
    commands = {entry.name for entry in found.entry_points}
    packed = folder / f"{stem}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(packed, "w") as archive:

        def put(name: str, content: bytes, mode: int = 0o644) -> None:
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f'"{name}",sha256={digest},{len(content)}')

        files = found.files or []
        information = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
        for file in files:
            path = Path(str(found.locate_file(file)))
            if file.suffix == ".pyc" or not path.is_file():
                continue
            if file.name in LEFT_OUT and file.parts[0] == information:
                continue
            if not is_whole and file.parts[0] != information:
                continue
            name = str(file)
            if file.parts[0] == "..":
                inside = [part for part in file.parts if part != ".."]
                if inside[0] == "bin" and inside[-1] in commands | {"pip3", "pip3.11"}:
                    continue
                kind = "scripts" if inside[0] == "bin" else "data"
                name = f"{stem}.data/{kind}/" + "/".join(inside[1:] if kind == "scripts" else inside)
            put(name, path.read_bytes(), path.stat().st_mode & 0o777)
        archive.writestr(f"{information}/RECORD", "\n".join([*record, f"{information}/RECORD,,"]) + "\n")
    return packed


def _newer(name: str, folder: Path) -> None:
    """Put a release beside it that is newer than every other, and works with nothing."""
    stem = f"{name.replace('-', '_')}-{NEWER}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        files = {
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\n",
            f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{stem}.dist-info/RECORD", "".join(f"{path},,\n" for path in files))
