"""YAML from ConfigMaps, which may be written by many: small, shallow and without aliases.

PyYAML's safe loader creates no class instances, but it expands a few hundred bytes with aliases to
gigabytes, and fails in its own ways on dates and nested lists.
"""

from __future__ import annotations

from typing import Any

# Its parser is written in Python and takes ten seconds per megabyte.
MAX_CHARACTERS = 8_000
MAX_DEPTH = 10


def loads(text: str) -> Any:
    """Return the value of a YAML text: strings, numbers, booleans, lists and mappings.

    Raises:
        ValueError: it is not such YAML; the message follows the document's name.
    """
    import yaml  # noqa: PLC0415 - Jupyter's start does not wait for it

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it holds an alias (*name); write the value itself")
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        first_line = str(error).split("\n", 1)[0]
        raise ValueError(f"it is not YAML ({first_line})") from error
