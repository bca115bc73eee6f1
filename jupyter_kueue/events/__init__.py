"""Jupyter events for other extensions: schemas and emitters."""
