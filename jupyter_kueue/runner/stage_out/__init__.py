"""The sidecar that uploads progress and outputs to the bucket."""
