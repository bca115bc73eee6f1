"""The local cluster: a real control plane, a node and a bucket, as processes of an ordinary user.

``cli.local`` and the tests call ``lifecycle``; nothing else in the package imports from here, and
nothing here is needed on a cluster that has Kueue already.
"""
