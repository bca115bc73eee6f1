"""The sidecar that brings progress and outputs into the bucket."""
