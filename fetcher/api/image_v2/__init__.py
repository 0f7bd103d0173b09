"""The Image API v2, one file a resource."""

from starlette.routing import BaseRoute

from fetcher.api.image_v2 import (
    attestation,
    cache,
    healthcheck,
    image_data,
    images,
    imports,
    info,
    locations,
    members,
    schemas,
    tags,
    tasks,
    versions,
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
