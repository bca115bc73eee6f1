"""Types, names and pure decisions. Nothing here does I/O."""
