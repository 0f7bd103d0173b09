"""The OpenAPI document and the schemas of responses."""
