"""REST under ``<base_url>jupyter-kueue/``: a thin translation to ``service``.

``server.routes`` is the table from URL to handler; each handler parses, calls the service and
writes what it answered. docs/rest.md and openapi.yaml describe it to its users.
"""
