"""The node of the local cluster: registers a Node and runs the pods bound to it as processes.

Runs as ``python -m jupyter_kueue_local.node --config node.json``. It replaces a kubelet and a
container runtime, as far as an ordinary user's processes can, and does not isolate anything.
"""
