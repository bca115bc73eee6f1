"""What the server, the sidecars of a run and any user's image agree on.

It needs only Python 3.9's standard library: the folder is copied into every image, with
``runner.shared`` and ``runner.notebook``.
"""
