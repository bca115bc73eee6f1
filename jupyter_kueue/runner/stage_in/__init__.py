"""The container that brings inputs, checkpoints and the runner into the pod."""
