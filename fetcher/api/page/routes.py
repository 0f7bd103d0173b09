"""The routes of the pages."""

from starlette.routing import Route

from fetcher.api.page import (
    dashboard,
    editing,
    images,
    imports,
    plain,
    signing,
    static,
    submitting,
    uploading,
)

routes = [
    Route("/page/static/{name}", static.static_file, methods=["GET"]),
    Route("/page/check", submitting.check, methods=["POST"]),
    Route("/page/probe", submitting.probe, methods=["POST"]),
    Route("/page/submit", submitting.submit, methods=["POST"]),
    Route("/page/imports", imports.listing, methods=["GET"]),
    Route("/page/imports/events", imports.listing_events, methods=["GET"]),
    Route("/page/imports/bulk", imports.cancel_several, methods=["POST"]),
    Route("/page/imports/{id}", imports.detail, methods=["GET"]),
    Route("/page/imports/{id}/events", imports.detail_events, methods=["GET"]),
    Route("/page/imports/{id}/cancel", imports.cancel, methods=["POST"]),
    Route("/page/images", images.listing, methods=["GET"]),
    Route("/page/images/bulk", editing.several, methods=["POST"]),
    Route("/page/upload", uploading.form, methods=["GET"]),
    Route("/page/upload", uploading.upload, methods=["PUT"]),
    Route("/page/images/{id}/edit", editing.edit, methods=["POST"]),
    Route("/page/images/{id}", images.detail, methods=["GET"]),
    Route("/page/images/{id}/events", imports.image_events, methods=["GET"]),
    Route("/page/images/{id}/file", images.download, methods=["GET"]),
    Route("/page/images/{id}/delete", images.delete, methods=["POST"]),
    Route("/page/limits", plain.limits, methods=["GET"]),
    Route("/page/codes", plain.codes, methods=["GET"]),
    Route("/page/api", plain.api, methods=["GET"]),
    Route("/page/dashboard", dashboard.dashboard, methods=["GET"]),
    Route("/page/desk", dashboard.moved, methods=["GET"]),
    Route("/page/sign-in", signing.form, methods=["GET"]),
    Route("/page/sign-in", signing.sign_in, methods=["POST"]),
    Route("/page/sign-out", signing.sign_out, methods=["POST"]),
]
