"""Catalogues for tests: simplestreams as Ubuntu and Incus publish them, and a file of image-manager."""

import hashlib
import json
from typing import Any

UPDATED = "Mon, 20 Apr 2026 10:00:00 +0000"


def item(path: str, body: bytes, ftype: str = "disk1.img", **more: Any) -> dict[str, Any]:
    """One file of a version, with its true digest."""
    return {
        "ftype": ftype,
        "path": path,
        "sha256": hashlib.sha256(body).hexdigest(),
        "md5": hashlib.md5(body).hexdigest(),
        "size": len(body),
    } | more


def ubuntu(versions: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A product as Ubuntu has it; versions are serials with their one item."""
    return {
        "aliases": "26.04,resolute,r,default",
        "arch": "amd64",
        "os": "ubuntu",
        "release": "resolute",
        "release_title": "26.04 LTS",
        "support_eol": "2031-05-31",
        "version": "26.04",
        "versions": {serial: {"items": {"disk1.img": one}} for serial, one in versions.items()},
    } | more


def index(*paths: str, updated: str = UPDATED) -> bytes:
    """An index that names files of products."""
    rows = {
        f"com.example:{number}:download": {
            "datatype": "image-downloads",
            "format": "products:1.0",
            "path": path,
        }
        for number, path in enumerate(paths)
    }
    return json.dumps({"format": "index:1.0", "updated": updated, "index": rows}).encode()


def products(*some: dict[str, Any], updated: str = UPDATED) -> bytes:
    """A file of products."""
    rows = {f"com.example.cloud:server:{number}": one for number, one in enumerate(some)}
    document = {
        "format": "products:1.0",
        "datatype": "image-downloads",
        "updated": updated,
        "products": rows,
    }
    return json.dumps(document).encode()


MANAGER = """---
images:
  - name: Debian 13
    enable: true
    shortname: debian-13
    format: raw
    login: debian
    min_disk: 8
    min_ram: 512
    status: active
    visibility: public
    multi: true
    meta:
      architecture: x86_64
      hw_disk_bus: scsi
      os_distro: debian
      os_version: '13'
      os_purpose: generic
      replace_frequency: quarterly
      uuid_validity: last-3
      provided_until: 2030-06-30
    tags: []
    versions:
      - version: '20260401'
        url: {url}
        checksum: sha256:{sha256}
        build_date: 2026-04-01
      - version: '20260301'
        url: {url}.old
        checksum: sha256:{old}
        build_date: 2026-03-01
"""


def manager(url: str, body: bytes) -> bytes:
    """A file of openstack-image-manager with one image."""
    return MANAGER.format(url=url, sha256=hashlib.sha256(body).hexdigest(), old="0" * 64).encode()
