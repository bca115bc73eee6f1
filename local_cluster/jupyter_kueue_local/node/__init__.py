"""The node of the local cluster: registers a Node and runs the pods bound to it as processes.

Started by ``parts`` as ``python -m jupyter_kueue_local.node --config node.json``. It is what
a kubelet and a container runtime are on a real node, as far as processes of an ordinary user can
be, and isolates nothing.
"""
