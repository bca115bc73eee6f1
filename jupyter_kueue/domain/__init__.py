"""Words, typed data and pure decisions. Nothing here does I/O."""
