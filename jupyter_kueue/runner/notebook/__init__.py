"""What runs the notebook; the whole folder is copied into any user's image.

It imports nothing from this package but itself, ``runner.shared`` and ``contract``.
"""
