"""The only place that talks to the Kubernetes API.

Objects cross as raw JSON (plain dicts), because the client's typed models cost ten times the time
on lists that grow. Nothing here decides anything about runs.
"""
