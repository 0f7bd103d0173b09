"""The files for containers: valid by their own tools, and true of the service that they run."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from fetcher.config import data_folder, load_settings

DEPLOY = Path(__file__).parent.parent / "deploy"
CLUSTER = DEPLOY / "kubernetes"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
MANIFESTS = sorted(file.name for file in CLUSTER.glob("*.yaml") if file.name != "kustomization.yaml")


def manifest(name: str) -> Any:
    return yaml.safe_load((CLUSTER / name).read_text())


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_takes_each_manifest(name: str) -> None:
    """Every field is one that there is, of the type that it has; strict, so that a misspelt one fails."""
    document = manifest(name)
    kubernetes_validate.validate(document, "1.34", strict=True)
    assert document["metadata"]["name"] == "glance-fetcher"


def test_the_kustomization_names_what_is_there() -> None:
    """All manifests are in it, and what it makes its secret from is valid."""
    kustomization = manifest("kustomization.yaml")
    assert sorted(kustomization["resources"]) == MANIFESTS
    assert [file for secret in kustomization["secretGenerator"] for file in secret["files"]] == [
        "config.toml"
    ]
    config = CLUSTER / "config.toml"
    settings = load_settings(config)
    assert settings.auth.mode == "tokens"
    volume = re.search(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)
    assert volume is not None
    assert data_folder(settings, config).is_relative_to(volume[1])


def test_the_pod_is_what_the_image_expects() -> None:
    """User, port, folders and the time to stop are those of Dockerfile and configuration."""
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert f"USER {pod['securityContext']['runAsUser']}" in DOCKERFILE
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in DOCKERFILE
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert f"VOLUME {mounts['images']}" in DOCKERFILE
    assert f"FETCHER_CONFIG={mounts['config']}/config.toml" in DOCKERFILE
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    settings = load_settings(CLUSTER / "config.toml")
    assert pod["terminationGracePeriodSeconds"] > settings.server.shutdown_seconds
    assert settings.server.port == container["ports"][0]["containerPort"]


def test_nothing_starts_a_second_process_on_the_store() -> None:
    """One at a time, also while a new version is rolled out."""
    deployment = manifest("deployment.yaml")["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (1, "Recreate")
    assert manifest("volume.yaml")["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_the_policy_opens_the_ports_that_urls_may_have() -> None:
    """What the gate lets out by default comes out of the pod too, and no more."""
    rules = manifest("network-policy.yaml")["spec"]["egress"]
    assert [port["port"] for port in rules[1]["ports"]] == sorted(load_settings(None).url.ports)


def test_yamllint_finds_nothing() -> None:
    """The files for people to edit are in one plain form."""
    files = [str(file) for file in [*CLUSTER.glob("*.yaml"), DEPLOY / "compose.yaml"]]
    rules = "{extends: relaxed, rules: {line-length: {max: 130}}}"
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "-d", rules, *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


async def test_compose_takes_its_file() -> None:
    """Docker's own reader of the file finds no mistake in it."""
    tool = shutil.which("docker-compose")
    if tool is None:
        pytest.skip("Debian's package docker-compose is not installed")
    process = await asyncio.create_subprocess_exec(
        *(tool, "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert (process.returncode, said.decode()) == (0, "")


def test_compose_runs_the_container_as_it_is_documented() -> None:
    """Read-only, without capabilities, on loopback, with volume and configuration where they belong."""
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["glance-fetcher"]
    assert service["ports"] == ["127.0.0.1:9292:9292"]
    volume = re.search(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)
    assert volume is not None
    assert service["volumes"] == [
        f"images:{volume[1]}",
        "./container.toml:/etc/glance-fetcher/config.toml:ro",
    ]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > load_settings(DEPLOY / "container.toml").server.shutdown_seconds
