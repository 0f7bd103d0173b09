"""The HTTP faces: the submit-a-URL API, the Image API v2, discovery and the page."""
