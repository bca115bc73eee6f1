"""What runs in a run's pod: ``stage_in``, ``execute`` and ``stage_out``.

The three programs share nothing but files in the control folder (``contract``). ``execute`` and
what it needs (``control``, ``cells``, ``saving``) travel into any user's image as a folder of
source, so they keep to Python 3.9 and its standard library, nbclient aside.
"""
