"""The programs in a run's pod: ``stage_in``, ``notebook.execute``, ``stage_out`` and ``export``.

They communicate only through files in the pod's volumes (``contract.pod_contract``). The folders
``notebook`` and ``shared`` are copied into any user's image, so they need only Python 3.9's
standard library and nbclient.
"""
