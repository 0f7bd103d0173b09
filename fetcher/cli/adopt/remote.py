"""The server's access to the very service that is read here, and what its operator adds if it has none."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fetcher.cli.client import Client

METHOD = "glance-download"
REGIONS = "glance-download-regions"


def check_remote(client: Client, region: str, url: str) -> None:
    """Refuse to begin where the server would fetch from nowhere, or from another service than is read.

    Raises:
        ValueError: With what to do.
    """
    found = client.get("/v2/info/import")
    if METHOD not in found["import-methods"]["value"]:
        raise ValueError(missing_lines(url, region))
    if REGIONS not in found:
        return  # An older server does not say.
    remotes = {entry["region"]: entry["url"] for entry in found[REGIONS]["value"]}
    same = sorted(name for name, known in remotes.items() if _place(known) == _place(url))
    if region in same:
        return
    if same:
        raise ValueError(f"the server calls {url} {same[0]}, not {region}: give --region {same[0]}")
    if region in remotes:
        raise ValueError(
            f"the server's remote {region} is {remotes[region]}, and the images are read from {url}: "
            "give --from as the server has it, or have its operator add the other one under another name"
        )
    raise ValueError(missing_lines(url, region))


def _place(url: str) -> tuple[str, str, int, str]:
    """Return what makes two spellings of an address the same service."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")


def missing_lines(url: str, region: str) -> str:
    """Return what the operator adds to the server's configuration, so that it may fetch from the origin."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        cidr, hosts = "ADDRESS/32", f'\n[url]\nallow_hosts = ["{host}"]'
    else:
        cidr, hosts = f"{address}/{address.max_prefixlen}", "\n[url]\nallow_literals = true"
    comment = "" if "ADDRESS" not in cidr else f"  # ADDRESS: of {host}"
    return (
        f"The server may not fetch from {url} as {region} yet. Add to its configuration and send SIGHUP:\n\n"
        f'[image_api]\nremotes = [{{ region = "{region}", url = "{url}" }}]\n'
        f"{hosts}\n\n[address]\n"
        f'allow = [{{ cidr = "{cidr}", ports = [{port}] }}]{comment}'
    )
