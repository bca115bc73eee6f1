"""Takes the place of a package that no test needs, as if it were not installed.

It compiles a grammar for two seconds in each process that imports it, every Jupyter server among
them; jsonschema, which does so to check the format ``iri``, goes on without. `make test` alone
puts this folder into PYTHONPATH.
"""

raise ImportError("left out of the tests, see tests/lean_imports")
