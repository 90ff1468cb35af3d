"""Schemas of requests and responses, one file per noun; the OpenAPI document is generated from them."""
