"""What the server, the sidecars of a run and any user's image agree on.

Python 3.9's standard library alone: the folder travels into every image, beside ``runner.shared``
and ``runner.notebook``.
"""
