"""Taking over the images of another Image API v2: read there, plan, carry; all by calls of the API."""
