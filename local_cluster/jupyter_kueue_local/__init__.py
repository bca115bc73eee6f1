"""The local cluster: a real control plane, a node and a bucket, as processes of an ordinary user.

``lifecycle`` is the way in, ``command`` its command line. Nothing here is needed on a cluster that
has Kueue already. Of ``jupyter_kueue`` it uses the connection to the API server with its watch, the
errors and quantities; its sentences are said in English on the command line and in the words of a
kubelet, so they are in no catalogue of translations.
"""
