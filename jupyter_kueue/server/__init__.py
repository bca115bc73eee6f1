"""REST under ``<base_url>jupyter-kueue/``: a thin translation to ``service``.

``server.routes`` is the table of routes. Tornado's handlers (``server.tornado_handlers``) come from
it, which parse each request, and so does the OpenAPI document (``server.openapi``). A handler
receives typed values, calls the service and returns what is answered.
"""
