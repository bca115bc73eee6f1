"""The application: what can be done with runs. It knows nothing of Jupyter or HTTP.

``application`` wires it; ``jobs`` is what users do; ``reconciler`` makes the index true.
"""
