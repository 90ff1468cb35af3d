"""Code that all views share: authentication, bodies, paging, problem+json, the OpenAPI document."""
