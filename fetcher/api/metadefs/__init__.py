"""Metadata definitions: what properties of images, flavors and volumes mean, for people who choose them."""

from starlette.routing import BaseRoute

from fetcher.api.metadefs import namespaces, objects, properties, resource_types, schemas, tags

routes: list[BaseRoute] = [
    *schemas.routes,
    *namespaces.routes,
    *resource_types.routes,
    *properties.routes,
    *objects.routes,
    *tags.routes,
]
