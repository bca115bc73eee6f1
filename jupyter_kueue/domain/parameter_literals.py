"""Parameters as source code: assignments whose values arrive exactly as they were sent.

Pure. The server refuses what a language cannot represent; the pod applies the same rules. Each
language has its own quoting rules, whose source its class names. A text becomes a literal in which
nothing is interpolated; a parameter that has no such literal is refused by name.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, parameter_languages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_kueue.contract.sentences import Sentence

# Every integer up to this one has its own double.
EXACT_IN_A_DOUBLE = 2**53
DIGITS_IN_A_DOUBLE = 15
# Python refuses to parse decimal literals of more than 4300 digits (sys.set_int_max_str_digits).
LONGEST_DECIMAL = 10**4000
LAST_OF_FOUR_DIGITS = 0xFFFF


class _RefusedError(ValueError):
    """A value that a language cannot represent; the message advises, without its subject."""


def write_cell(parameters: dict[str, Any], language: str) -> str:
    """Return the source of a cell that sets ``parameters`` in one of the known languages.

    Raises:
        InvalidRequestError: naming each parameter that cannot be written as ``parameters.<name>``.
    """
    writer = _WRITERS[language]()
    wrong: dict[str, Sentence] = {}
    lines = [f"{writer.comment} Parameters"]
    taken: dict[str, str] = {}
    for name, value in parameters.items():
        problem = parameter_languages.problem_of_name(name, language)
        known_as = writer.known_as(name)
        if not problem and known_as in taken:
            problem = say(
                "parameter-same-name",
                "is the same name as {other} in {language}; rename one of them",
                other=repr(taken[known_as]),
                language=language,
            )
        taken[known_as] = name
        try:
            lines += [] if problem else writer.assign(name, value)
        except _RefusedError as refused:
            problem = sentences.of_error(refused)
        if problem:
            wrong[f"parameters.{name}"] = problem
    if wrong:
        raise errors.InvalidRequestError(wrong)
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes JSON values in one language."""

    language: ClassVar[str]
    comment = "#"
    true, false, nothing = "true", "false", "null"

    def assign(self, name: str, value: Any) -> list[str]:
        """Return the lines that set ``name``."""
        return [f"{name} = {self.value(value)}"]

    def known_as(self, name: str) -> str:
        """Return a key that is equal for names that are the same to this language."""
        return name

    def value(self, value: Any) -> str:
        if value is None:
            return self.nothing
        if isinstance(value, bool):
            return self.true if value else self.false
        if isinstance(value, int):
            return self.whole(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise _RefusedError(
                    say(
                        "parameter-not-json-send-text",
                        "contains {value}, which JSON cannot represent; send text",
                        value=str(value),
                    )
                )
            return self.real(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self.mapping(value)
        return self.array(value)

    def text(self, value: str) -> str:
        raise NotImplementedError

    def array(self, value: list[Any]) -> str:
        raise NotImplementedError

    def mapping(self, value: dict[str, Any]) -> str:
        raise NotImplementedError

    def whole(self, value: int) -> str:
        return str(value)

    def real(self, value: float) -> str:
        return repr(value)

    def values(self, values: Any) -> list[str]:
        return [self.value(value) for value in values]


class _Python(_Writer):
    """The Python Language Reference, "Literals": ``repr`` of these types is a literal."""

    language = parameter_languages.PYTHON
    true, false, nothing = "True", "False", "None"

    def known_as(self, name: str) -> str:
        return unicodedata.normalize("NFKC", name)

    def text(self, value: str) -> str:
        return repr(value)

    def whole(self, value: int) -> str:
        return str(value) if abs(value) < LONGEST_DECIMAL else hex(value)

    def array(self, value: list[Any]) -> str:
        return f"[{', '.join(self.values(value))}]"

    def mapping(self, value: dict[str, Any]) -> str:
        pairs = (f"{self.text(key)}: {self.value(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"


class _R(_Writer):
    r"""R's help pages ``Quotes`` and ``NumericConstants``.

    Nothing is interpolated. A text cannot contain NUL, and a literal with ``\u`` escapes has at
    most 10,000 characters, so that a longer one is pasted together. Every number is a double; R
    reads a decimal of more than 15 digits inexactly, a hexadecimal one exactly.
    """

    language = parameter_languages.R
    true, false, nothing = "TRUE", "FALSE", "NULL"
    PIECE = 5_000

    def text(self, value: str) -> str:
        if "\0" in value:
            raise _RefusedError(
                say("parameter-nul-in-r", "contains a NUL character, which R cannot hold")
            )
        pieces = [self._piece(part) for part in _pieces(value, self.PIECE)]
        return pieces[0] if len(pieces) == 1 else f"paste0({', '.join(pieces)})"

    def _piece(self, value: str) -> str:
        known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        return f'"{_escaped(value, known, _unicode_escape, _is_plain_ascii)}"'

    def whole(self, value: int) -> str:
        return _exact_double(value, "R")

    def real(self, value: float) -> str:
        written = repr(value)
        digits = written.partition("e")[0].replace(".", "").lstrip("-0")
        return written if len(digits) <= DIGITS_IN_A_DOUBLE else value.hex()

    def array(self, value: list[Any]) -> str:
        return f"list({', '.join(self.values(value))})"

    def mapping(self, value: dict[str, Any]) -> str:
        if not value:
            return "structure(list(), names = character(0))"
        names = ", ".join(self.text(key) for key in value)
        return f"structure({self.array(list(value.values()))}, names = c({names}))"


class _Julia(_Writer):
    """Julia's manual, "Strings" (``$`` interpolates, so it is escaped) and "Integers".

    An integer has the smallest type that holds it, up to BigInt. ``[1, true]`` and ``[1, 0.5]``
    would be converted to one type, so mixed values are in an array of ``Any``.
    """

    language = parameter_languages.JULIA
    nothing = "nothing"

    # Two look-alike letters are the same (julia/src/flisp/julia_extensions.c).
    ALIKE: ClassVar[dict[int, str]] = {0x00B5: "\u03bc", 0x025B: "\u03b5"}

    def known_as(self, name: str) -> str:
        return unicodedata.normalize("NFC", name).translate(self.ALIKE)

    def text(self, value: str) -> str:
        known = {'"': '\\"', "\\": "\\\\", "$": "\\$", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        return f'"{_escaped(value, known, _unicode_escape, str.isprintable)}"'

    def array(self, value: list[Any]) -> str:
        kind = "" if _are_alike(value, one_whole=True) else "Any"
        return f"{kind}[{', '.join(self.values(value))}]"

    def mapping(self, value: dict[str, Any]) -> str:
        kind = "" if _are_alike(list(value.values()), one_whole=True) else "{String, Any}"
        pairs = (f"{self.text(key)} => {self.value(item)}" for key, item in value.items())
        return f"Dict{kind}({', '.join(pairs)})"


class _Bash(_Writer):
    """Bash's manual, "Quoting": nothing is special in single quotes; ``$'...'`` has escapes.

    The kernel types the cell into a terminal, which truncates lines at 4,096 bytes and acts on
    control characters. Lines are therefore short and control characters are escaped, byte by byte
    because the locale may have no encoding for them. ``!`` is escaped, too, because of an
    interactive shell's history.
    """

    language = parameter_languages.BASH
    nothing = "''"
    PIECE = 250  # characters, of up to 16 bytes each once escaped

    def assign(self, name: str, value: Any) -> list[str]:
        if isinstance(value, dict):
            raise _RefusedError(
                say(
                    "parameter-object-in-bash",
                    "is an object, which bash cannot hold; send text or a list",
                )
            )
        # The notebook's own declaration: an array would keep its other elements, and an integer
        # would evaluate the text.
        lines = [f"unset -v {name}"]
        if not isinstance(value, list):
            first, *rest = self._parts(value)
            return [*lines, f"{name}={first}", *(f"{name}+={part}" for part in rest)]
        lines.append(f"{name}=()")
        for at, item in enumerate(value):
            if isinstance(item, list | dict):
                raise _RefusedError(
                    say(
                        "parameter-nested-list-in-bash",
                        "is a list with lists or objects in it, which bash cannot "
                        "hold; send text or a list of single values",
                    )
                )
            first, *rest = self._parts(item)
            lines += [f"{name}[{at}]={first}", *(f"{name}[{at}]+={part}" for part in rest)]
        return lines

    def _parts(self, value: Any) -> list[str]:
        if isinstance(value, str):
            return [self.text(piece) for piece in _pieces(value, self.PIECE)]
        if isinstance(value, int) and not isinstance(value, bool):
            return _pieces(str(value), self.PIECE * 4)
        return [self.value(value)]

    def text(self, value: str) -> str:
        if "\0" in value:
            raise _RefusedError(
                say("parameter-nul-in-bash", "contains a NUL character, which bash cannot hold")
            )
        if value.isprintable() and not set(value) & {"'", "!"}:
            return f"'{value}'"
        known = {"\\": "\\\\", "'": "\\047", "!": "\\041"}
        escaped = _escaped(value, known, _octal_bytes, str.isprintable)
        return f"$'{escaped}'"


class _Scala(_Writer):
    r"""The Scala Language Specification, "Lexical Syntax".

    Nothing is interpolated in a plain literal. Before Scala 2.13.2, ``\u`` escapes were processed
    first, so characters that end a literal have other escapes. The JVM limits a literal to 65,535
    bytes. Mixed numbers would be widened to one type.
    """

    language = parameter_languages.SCALA
    comment = "//"
    nothing = "None"
    PIECE = 10_000
    KNOWN: ClassVar[dict[str, str]] = {
        '"': '\\"',
        "\\": "\\\\",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\f": "\\f",
    }

    def assign(self, name: str, value: Any) -> list[str]:
        return [f"val {name} = {self.value(value)}"]

    def text(self, value: str) -> str:
        if "\x1a" in value:
            raise _RefusedError(
                say(
                    "parameter-ctrl-z-in-scala",
                    "contains the character U+001A, which ends a Scala source file",
                )
            )
        pieces = [
            f'"{_escaped(part, self.KNOWN, _utf16_escapes, _is_plain_ascii)}"'
            for part in _pieces(value, self.PIECE)
        ]
        return pieces[0] if len(pieces) == 1 else f"Seq({', '.join(pieces)}).mkString"

    def whole(self, value: int) -> str:
        return _sized(value, f'BigInt("{value}")')

    def array(self, value: list[Any]) -> str:
        kind = "" if _are_alike(value) else "[Any]"
        return f"Seq{kind}({', '.join(self.values(value))})"

    def mapping(self, value: dict[str, Any]) -> str:
        kind = "" if _are_alike(list(value.values())) else "[String, Any]"
        pairs = (f"{self.text(key)} -> {self.value(item)}" for key, item in value.items())
        return f"Map{kind}({', '.join(pairs)})"


class _Matlab(_Writer):
    """MATLAB's help page "Text in String and Character Arrays".

    A double quote is doubled, and there are no escapes: other characters are created from their
    codes. Every number is a double.
    """

    language = parameter_languages.MATLAB
    comment = "%"
    nothing = "NaN"

    def assign(self, name: str, value: Any) -> list[str]:
        return [f"{name} = {self.value(value)};"]

    def text(self, value: str) -> str:
        parts = [
            '"' + part.replace('"', '""') + '"'
            if plain
            else f"char([{' '.join(map(str, _utf16(part)))}])"
            for plain, part in _runs(value, _is_plain_ascii)
        ]
        if not parts:
            return '""'
        return " + ".join(parts if parts[0].startswith('"') else ['""', *parts])

    def whole(self, value: int) -> str:
        return _exact_double(value, "MATLAB")

    def array(self, value: list[Any]) -> str:
        return f"{{{', '.join(self.values(value))}}}"

    def mapping(self, value: dict[str, Any]) -> str:
        if not value:
            return "containers.Map('KeyType', 'char', 'ValueType', 'any')"
        keys = ", ".join(f"char({self.text(key)})" for key in value)
        # A cell array as a value would be taken for several values.
        items = self.array(list(value.values()))
        return f"containers.Map({{{keys}}}, {items}, 'UniformValues', false)"


class _CSharp(_Writer):
    r"""The C# specification, "Lexical structure": ``\u`` takes four digits, ``\x`` any number."""

    language = parameter_languages.CSHARP
    comment = "//"

    def assign(self, name: str, value: Any) -> list[str]:
        return [f"{'object' if value is None else 'var'} {name} = {self.value(value)};"]

    def text(self, value: str) -> str:
        known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        return f'"{_escaped(value, known, _utf16_escapes, _is_plain_ascii)}"'

    def whole(self, value: int) -> str:
        return _sized(value, f'System.Numerics.BigInteger.Parse("{value}")')

    def array(self, value: list[Any]) -> str:
        kind = "" if value and _are_alike(value) else "object"
        return f"new {kind}[] {{ {', '.join(self.values(value))} }}"

    def mapping(self, value: dict[str, Any]) -> str:
        pairs = (f"{{ {self.text(key)}, {self.value(item)} }}" for key, item in value.items())
        kind = "System.Collections.Generic.Dictionary<string, object>"
        return f"new {kind} {{ {', '.join(pairs)} }}"


class _FSharp(_Writer):
    """The F# Language Specification, "Strings and Characters". ``%`` is special only in formats."""

    language = parameter_languages.FSHARP
    comment = "//"
    nothing = "None"

    def assign(self, name: str, value: Any) -> list[str]:
        return [f"let {name} = {'box null' if value is None else self.value(value)}"]

    def text(self, value: str) -> str:
        known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        return f'"{_escaped(value, known, _utf16_escapes, _is_plain_ascii)}"'

    def whole(self, value: int) -> str:
        return _sized(value, f'System.Numerics.BigInteger.Parse("{value}")')

    def array(self, value: list[Any]) -> str:
        if value and _are_alike(value):
            return f"[ {'; '.join(self.values(value))} ]"
        return f"([ {'; '.join(self._boxed(item) for item in value)} ] : obj list)"

    def mapping(self, value: dict[str, Any]) -> str:
        pairs = (f"({self.text(key)}, {self._boxed(item)})" for key, item in value.items())
        return f"(Map.ofList [ {'; '.join(pairs)} ] : Map<string, obj>)"

    def _boxed(self, value: Any) -> str:
        return f"box ({'null' if value is None else self.value(value)})"


class _PowerShell(_Writer):
    """PowerShell's ``about_Quoting_Rules`` and ``about_Arrays``.

    Nothing is expanded between single quotes, which are doubled; four other quotation marks act
    like single quotes. An array that contains one array is unrolled unless a comma precedes it.
    Names and a table's keys ignore case.
    """

    language = parameter_languages.POWERSHELL
    true, false, nothing = "$true", "$false", "$null"
    QUOTES = "'\u2018\u2019\u201a\u201b"

    def assign(self, name: str, value: Any) -> list[str]:
        return [f"${name} = {self.value(value)}"]

    def known_as(self, name: str) -> str:
        return name.casefold()

    def text(self, value: str) -> str:
        parts = [
            "'" + "".join(2 * char if char in self.QUOTES else char for char in part) + "'"
            if plain
            else " + ".join(f"[char]{unit}" for unit in _utf16(part))
            for plain, part in _runs(value, str.isprintable)
        ]
        if len(parts) == 1 and parts[0].startswith("'"):
            return parts[0]
        if not parts:
            return "''"
        return f"({' + '.join(parts if parts[0].startswith(chr(39)) else [chr(39) * 2, *parts])})"

    def whole(self, value: int) -> str:
        if -(2**63) < value < 2**63:
            return str(value)
        return f"[bigint]::Parse('{value}')"

    def array(self, value: list[Any]) -> str:
        items = [f"({item})" if item.startswith("-") else item for item in self.values(value)]
        return f"@(,{items[0]})" if len(items) == 1 else f"@({', '.join(items)})"

    def mapping(self, value: dict[str, Any]) -> str:
        if len({key.casefold() for key in value}) < len(value):
            raise _RefusedError(
                say(
                    "parameter-keys-differ-in-case",
                    "contains an object with keys that differ only in case, which "
                    "PowerShell treats as the same",
                )
            )
        pairs = (f"{self.text(key)} = {self.value(item)}" for key, item in value.items())
        return f"@{{ {'; '.join(pairs)} }}"


_WRITERS: dict[str, type[_Writer]] = {
    writer.language: writer
    for writer in (_Python, _R, _Julia, _Bash, _Scala, _Matlab, _CSharp, _FSharp, _PowerShell)
}


def _escaped(
    value: str,
    known: dict[str, str],
    escape: Callable[[str], str],
    is_plain: Callable[[str], bool],
) -> str:
    return "".join(
        known[char] if char in known else char if is_plain(char) else escape(char) for char in value
    )


def _is_plain_ascii(char: str) -> bool:
    return " " <= char <= "~"


def _unicode_escape(char: str) -> str:
    # With the maximum number of digits: the next character may be a digit.
    code = ord(char)
    return f"\\u{code:04x}" if code <= LAST_OF_FOUR_DIGITS else f"\\U{code:08x}"


def _utf16(value: str) -> list[int]:
    data = value.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]


def _utf16_escapes(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in _utf16(char))


def _octal_bytes(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogatepass"))


def _pieces(value: str, length: int) -> list[str]:
    return [value[at : at + length] for at in range(0, len(value), length)] or [""]


def _runs(value: str, is_plain: Callable[[str], bool]) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text that are entirely plain, or not at all."""
    begin = 0
    for at in range(1, len(value) + 1):
        if at == len(value) or is_plain(value[at]) != is_plain(value[begin]):
            yield is_plain(value[begin]), value[begin:at]
            begin = at


def _are_alike(values: list[Any], *, one_whole: bool = False) -> bool:
    """Return whether values have one simple type, so that a language converts none of them.

    Args:
        values: the elements of one array.
        one_whole: whether integers of 32 and of 64 bits count as one type.
    """
    kinds = {_kind(value) for value in values}
    if one_whole:
        kinds = {"long" if kind == "int" else kind for kind in kinds}
    return len(kinds) == 1 and kinds <= {"str", "bool", "int", "long", "float"}


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if -(2**31) <= value < 2**31:
            return "int"
        return "long" if -(2**63) <= value < 2**63 else "big"
    return type(value).__name__


def _sized(value: int, beyond: str) -> str:
    """Return an integer as a literal of 32 bits, of 64 bits with an L, or as ``beyond``."""
    if -(2**31) <= value < 2**31:
        return str(value)
    return f"{value}L" if -(2**63) <= value < 2**63 else beyond


def _exact_double(value: int, language: str) -> str:
    if abs(value) > EXACT_IN_A_DOUBLE:
        raise _RefusedError(
            say(
                "parameter-whole-number-too-large",
                "contains a whole number beyond 2^53, which {language} would change; "
                "send it as text",
                language=language,
            )
        )
    return str(value)
