"""The Image API v2, one file a resource."""

from starlette.routing import BaseRoute

from fetcher.api.image_v2 import cache, healthcheck, info, schemas, versions
from fetcher.api.image_v2.resources import (
    attestation,
    image_data,
    images,
    imports,
    locations,
    members,
    tags,
    tasks,
)

routes: list[BaseRoute] = [
    *versions.routes,
    *healthcheck.routes,
    *cache.routes,
    *locations.routes,
    *info.routes,
    *schemas.routes,
    *tasks.routes,
    *images.routes,
    *image_data.routes,
    *imports.routes,
    *attestation.routes,
    *members.routes,
    *tags.routes,
]
