"""Images by the Image API, one file a resource."""
