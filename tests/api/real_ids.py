"""What schemathesis is told of this API: how patches are written, and ids of what is really there."""

import json
import os
from itertools import count
from typing import Any

import schemathesis

IMAGES = os.environ["FETCHER_IMAGES"].split(",")
MEMBER = os.environ["FETCHER_MEMBERS"]
TURNS = count()
IMPORTS = os.environ["FETCHER_IMPORTS"].split(",")


@schemathesis.serializer(
    "application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch"
)
def patch(_context: Any, value: Any) -> bytes:
    """A patch is JSON under another name."""
    return json.dumps(value).encode()


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Put real ids in place of made-up ones, two times in three."""
    turn = next(TURNS)
    if path_parameters and "namespace" in path_parameters and turn % 3:
        return {**path_parameters, "namespace": "Real"}
    if not path_parameters or "id" not in path_parameters or turn % 3 == 0:
        return path_parameters
    ids = IMAGES if "/images" in context.operation.path else IMPORTS
    real = {**path_parameters, "id": ids[turn % len(ids)]}
    return real | {"member": MEMBER} if "member" in real else real
