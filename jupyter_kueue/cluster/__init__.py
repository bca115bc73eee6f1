"""The only package that talks to the Kubernetes API.

Objects are raw JSON, because the client's typed models take ten times as long on growing lists.
Nothing here makes decisions about runs.
"""
