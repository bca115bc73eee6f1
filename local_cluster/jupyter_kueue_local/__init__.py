"""The local cluster: a real control plane, a node and a bucket, as processes of an ordinary user.

``lifecycle`` is its interface, ``command`` its command line. A cluster that already has Kueue needs
none of this. From ``jupyter_kueue`` it uses the connection to the API server with its watch, the
errors and the quantities. Its messages are English only, many in a kubelet's words, and are not in
the catalogue of translations.
"""
