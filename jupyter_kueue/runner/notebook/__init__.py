"""What runs the notebook, in any user's image: this folder as it is travels there.

It imports nothing of this package but itself, ``runner.shared`` and ``contract``.
"""
