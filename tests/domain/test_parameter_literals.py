"""Parameters in each language: what its own rules read is what was sent.

Python and bash read for themselves. The other languages' interpreters are not part of the test
environment: for each there is a reader of its literals, written from the pages that the writer
names, which fails on all that is code.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_kueue.domain import errors, parameter_languages, parameter_literals
from jupyter_kueue.domain.parameter_languages import (
    BASH,
    CSHARP,
    FSHARP,
    JULIA,
    LANGUAGES,
    MATLAB,
    POWERSHELL,
    PYTHON,
    SCALA,
    R,
)

if TYPE_CHECKING:
    from pathlib import Path

ODD_TEXTS = [
    "",
    "$(run(`id`))",
    "$(id)",
    "`id`",
    "${x} $x #{x} %s %d {0} {{x}} \\(x)",
    'it\'s "quoted" \'\' "" \\\' \\" \'\'\'x\'\'\' """y"""',
    "a\\",
    "\\n\\u0041\\x41\\",
    "new\nline\r\nand\ttab\b\f\v\x1b[31m\x7f\x85\xa0",
    "line\u2028paragraph\u2029space\u200b\ufeff",
    "é1 \xe9a \u20ac2 😀3 \u2018left\u2019 \u201aqu\u201bote\u201d",
    "!history !! ^a^b",
    "; rm -rf / # comment -- % // */ (* *)",
    "inf",
    "nan",
    "None",
    "-1",
    " ",
    "~",
    "x" * 20_000 + "é",
    "'" * 5_000,
    "%matplotlib\n!ls\n?\n",
]
TEXTS = (
    st.sampled_from(ODD_TEXTS)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1a"))
    | st.text(alphabet="'\"\\$`!%{}()#\n\ru0041x\u2018é😀")
)
WHOLES = st.integers(-(2**53), 2**53) | st.sampled_from([0, -1, 2**31, -(2**31), 2**31 - 1])
REALS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLES | REALS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def same(sent: Any, read: Any) -> bool:
    """Compare as JSON does: 1, 1.0 and true are three values."""
    return type(sent) is type(read) and (
        len(sent) == len(read) and all(same(sent[key], read[key]) for key in sent)
        if isinstance(sent, dict)
        else len(sent) == len(read) and all(map(same, sent, read))
        if isinstance(sent, list)
        else sent == read and (sent != 0 or math.copysign(1, sent) == math.copysign(1, read))
        if isinstance(sent, float)
        else sent == read
    )


@settings(deadline=None, max_examples=200)
@given(VALUES | st.integers())
def test_python(value: Any) -> None:
    scope: dict[str, Any] = {}
    source = parameter_literals.write_cell({"x": value}, PYTHON)
    exec(source, scope)
    assert same(value, scope["x"])
    assert source.count("\n") == 2  # nothing that IPython takes for a magic at a line's start


def test_python_numbers_of_any_size() -> None:
    scope: dict[str, Any] = {}
    exec(parameter_literals.write_cell({"x": -(10**5000)}, PYTHON), scope)
    assert scope["x"] == -(10**5000)


def run_bash(source: str, tmp_path: Path) -> list[str]:
    script = tmp_path / "script"
    script.write_text(f"{source}\nprintf '%s\\0' \"${{x[@]}}\"\n", encoding="utf-8")
    done = subprocess.run(
        ["bash", str(script)], capture_output=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stderr == b""
    return [part.decode() for part in done.stdout.split(b"\0")[:-1]]


@pytest.mark.programs
@pytest.mark.parametrize("at_once", [slice(0, 7), slice(7, 14), slice(14, None)])
def test_bash(tmp_path: Path, at_once: slice) -> None:
    values = [*ODD_TEXTS[at_once], "ü" * 3_000 + "\x03\x04", 7, -2.5, True, None, 10**1500]
    written = [
        value if isinstance(value, str) else "" if value is None else json.dumps(value)
        for value in values
    ]
    source = parameter_literals.write_cell({"x": values}, BASH)
    assert run_bash(source, tmp_path) == written
    assert max(len(line.encode()) for line in source.splitlines()) < 4096
    assert all(char == "\n" or char.isprintable() for char in source)
    for value, text in zip(values, written, strict=True):
        source = parameter_literals.write_cell({"x": value}, BASH)
        assert run_bash(source, tmp_path) == [text]


@pytest.mark.programs
def test_bash_evaluates_no_text_for_a_notebooks_declarations(tmp_path: Path) -> None:
    source = "declare -i x=1\n" + parameter_literals.write_cell({"x": "a[$(echo 1 >&2)]"}, BASH)
    assert run_bash(source, tmp_path) == ["a[$(echo 1 >&2)]"]
    source = "x=(1 2 3)\n" + parameter_literals.write_cell({"x": "one"}, BASH)
    assert run_bash(source, tmp_path) == ["one"]
    assert run_bash(parameter_literals.write_cell({"x": []}, BASH), tmp_path) in ([], [""])


# --- Readers of the other languages' literals ---------------------------------------------------


class Reader:
    """Reads the literals of one language by its pages; whatever else stands there is an error."""

    words: ClassVar[dict[str, Any]] = {}
    escapes: ClassVar[dict[str, Any]] = {}
    number = re.compile(r"-?(0x[0-9a-f.]+p[+-]\d+|\d+(\.\d+)?(e[+-]?\d+)?)")
    opens_array: tuple[str, ...] = ()
    closes_array = ")"
    between = ","

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def read(self) -> Any:
        value = self.value()
        self.skip()
        assert self.at == len(self.source), self.source[self.at : self.at + 80]
        return value

    def skip(self) -> None:
        while self.source[self.at : self.at + 1] == " ":
            self.at += 1

    def take(self, text: str) -> bool:
        self.skip()
        if not self.source.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def need(self, text: str) -> None:
        assert self.take(text), (text, self.source[self.at : self.at + 80])

    def value(self) -> Any:
        for opening in self.opens_array:
            if self.take(opening):
                return self.items(self.value, self.closes_array)
        for word, value in self.words.items():
            if self.take(word):
                return value
        self.skip()
        found = self.number.match(self.source, self.at)
        if found:
            self.at = found.end()
            return self.read_number(found[0])
        return self.text()

    def read_number(self, text: str) -> Any:
        return float.fromhex(text) if "x" in text else json.loads(text)

    def items(self, item: Any, closing: str) -> list[Any]:
        found: list[Any] = []
        while not self.take(closing):
            if found:
                self.need(self.between)
            found.append(item())
        return found

    def quoted(self, forbidden: str = "") -> str:
        """Read a text between double quotes with backslash escapes."""
        self.need('"')
        units: list[str] = []
        while (char := self.source[self.at]) != '"':
            self.at += 1
            assert char not in f"\n\r{forbidden}", self.source
            units.append(self.escape() if char == "\\" else char)
        self.at += 1
        return "".join(units).encode("utf-16", "surrogatepass").decode("utf-16")

    def escape(self) -> str:
        char = self.source[self.at]
        self.at += 1
        if char in ("u", "U") and char in self.escapes:
            length = int(self.escapes[char])
            digits = self.source[self.at : self.at + length]
            assert re.fullmatch(f"[0-9a-f]{{{length}}}", digits), digits
            self.at += length
            return chr(int(digits, 16))
        return self.escapes[char]

    def text(self) -> str:
        return self.quoted()


COMMON = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t", "u": "4"}


class RReader(Reader):
    words: ClassVar[dict[str, Any]] = {"TRUE": True, "FALSE": False, "NULL": None}
    escapes: ClassVar[dict[str, Any]] = {**COMMON, "U": "8"}
    opens_array = ("list(",)

    def value(self) -> Any:
        if self.take("structure("):
            values = self.value()
            self.need(", names = ")
            names = [] if self.take("character(0)") else self.names()
            self.need(")")
            assert len(names) == len(values)
            return dict(zip(names, values, strict=True))
        return super().value()

    def names(self) -> list[str]:
        self.need("c(")
        return self.items(self.text, ")")

    def text(self) -> str:
        if self.take("paste0("):
            return "".join(self.items(self.piece, ")"))
        return self.piece()

    def piece(self) -> str:
        text = self.quoted()
        assert len(text) <= 10_000
        return text

    def read_number(self, text: str) -> Any:
        digits = text.partition("e")[0].replace(".", "").lstrip("-0")
        assert "x" in text or len(digits) <= 16, text
        return super().read_number(text)


class JuliaReader(Reader):
    words: ClassVar[dict[str, Any]] = {"true": True, "false": False, "nothing": None}
    escapes: ClassVar[dict[str, Any]] = {**COMMON, "U": "8", "$": "$"}

    def value(self) -> Any:
        if self.take("Any["):
            return self.items(self.value, "]")
        if self.take("["):
            found = self.items(self.value, "]")
            assert len({type(item) for item in found}) == 1  # else converted to one type
            return found
        if self.take("Dict{String, Any}(") or self.take("Dict("):
            return dict(self.items(self.pair, ")"))
        return super().value()

    def pair(self) -> tuple[str, Any]:
        key = self.text()
        self.need("=>")
        return key, self.value()

    def text(self) -> str:
        return self.quoted(forbidden="$")


class ScalaReader(Reader):
    words: ClassVar[dict[str, Any]] = {"true": True, "false": False, "None": None}
    escapes: ClassVar[dict[str, Any]] = {**COMMON, "b": "\b", "f": "\f"}
    number = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?L?")

    def value(self) -> Any:
        if self.take("Seq[Any]("):
            return self.items(self.value, ")")
        if self.take('BigInt("'):
            found = re.compile(r'-?\d+(?="\))').match(self.source, self.at)
            assert found
            self.at = found.end() + 2
            return int(found[0])
        begin = self.at
        if self.take("Seq("):
            found = self.items(self.value, ")")
            if self.take(".mkString"):
                return "".join(found)
            assert len({type(item) for item in found}) == 1, self.source[begin:]
            return found
        if self.take("Map[String, Any](") or self.take("Map("):
            return dict(self.items(self.pair, ")"))
        return super().value()

    def pair(self) -> tuple[str, Any]:
        key = self.value()
        self.need("->")
        return key, self.value()

    def text(self) -> str:
        text = self.quoted()
        assert len(text.encode()) < 65_536
        return text

    def read_number(self, text: str) -> Any:
        if text.endswith("L"):
            assert not -(2**31) <= int(text[:-1]) < 2**31
            return int(text[:-1])
        assert "e" in text or "." in text or -(2**31) <= int(text) < 2**31
        return json.loads(text)


class MatlabReader(Reader):
    words: ClassVar[dict[str, Any]] = {"true": True, "false": False, "NaN": None}

    def value(self) -> Any:
        if self.take("{"):
            return self.items(self.value, "}")
        if self.take("containers.Map('KeyType', 'char', 'ValueType', 'any')"):
            return {}
        if self.take("containers.Map({"):
            keys = self.items(self.key, "}")
            self.need(",")
            values = self.value()
            self.need(", 'UniformValues', false)")
            return dict(zip(keys, values, strict=True))
        return super().value()

    def key(self) -> str:
        self.need("char(")
        key = self.text()
        self.need(")")
        return key

    def text(self) -> str:
        parts = [self.part()]
        while self.take("+"):
            parts.append(self.part())
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16")

    def part(self) -> str:
        if self.take("char(["):
            end = self.source.index("])", self.at)
            codes = self.source[self.at : end].split(" ")
            self.at = end + 2
            return "".join(chr(int(code)) for code in codes)
        self.need('"')
        found = re.compile(r'((?:[^"\n\r]|"")*)"').match(self.source, self.at)
        assert found
        self.at = found.end()
        return found[1].replace('""', '"')


class DotNetReader(Reader):
    number = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?L?")
    escapes: ClassVar[dict[str, Any]] = COMMON
    words: ClassVar[dict[str, Any]] = {"true": True, "false": False, "null": None}

    def value(self) -> Any:
        if self.take('System.Numerics.BigInteger.Parse("'):
            found = re.compile(r'-?\d+(?="\))').match(self.source, self.at)
            assert found
            self.at = found.end() + 2
            return int(found[0])
        return super().value()

    read_number = ScalaReader.read_number


class CSharpReader(DotNetReader):
    def value(self) -> Any:
        if self.take("new object[] {"):
            return self.items(self.value, "}")
        if self.take("new [] {"):
            found = self.items(self.value, "}")
            assert len({type(item) for item in found}) == 1
            return found
        if self.take("new System.Collections.Generic.Dictionary<string, object> {"):
            return dict(self.items(self.pair, "}"))
        return super().value()

    def pair(self) -> tuple[str, Any]:
        self.need("{")
        key = self.text()
        self.need(",")
        value = self.value()
        self.need("}")
        return key, value


class FSharpReader(DotNetReader):
    between = ";"
    words: ClassVar[dict[str, Any]] = {"true": True, "false": False, "box null": None}

    def value(self) -> Any:
        if self.take("(["):
            found = self.items(self.boxed, "]")
            self.need(": obj list)")
            return found
        if self.take("[ "):
            found = self.items(self.value, "]")
            assert len({type(item) for item in found}) == 1
            return found
        if self.take("(Map.ofList ["):
            found = self.items(self.pair, "]")
            self.need(": Map<string, obj>)")
            return dict(found)
        return super().value()

    def boxed(self) -> Any:
        self.need("box (")
        value = None if self.take("null") else self.value()
        self.need(")")
        return value

    def pair(self) -> tuple[str, Any]:
        self.need("(")
        key = self.text()
        self.need(",")
        value = self.boxed()
        self.need(")")
        return key, value


class PowerShellReader(Reader):
    words: ClassVar[dict[str, Any]] = {"$true": True, "$false": False, "$null": None}
    quotes = "'\u2018\u2019\u201a\u201b"

    def value(self) -> Any:
        if self.take("@(,"):
            return [*self.items(self.value, ")")]
        if self.take("@("):
            found = self.items(self.value, ")")
            assert len(found) != 1  # it would be unrolled
            return found
        if self.take("@{"):
            return self.table()
        if self.take("[bigint]::Parse('"):
            found = re.compile(r"-?\d+(?='\))").match(self.source, self.at)
            assert found
            self.at = found.end() + 2
            return int(found[0])
        if self.take("("):
            value = self.joined() if self.source[self.at] in self.quotes else self.value()
            self.need(")")
            return value
        return super().value()

    def table(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.take("}"):
            if found:
                self.need(";")
            key = self.value()
            self.need("=")
            assert key.casefold() not in {known.casefold() for known in found}
            found[key] = self.value()
        return found

    def joined(self) -> str:
        parts = [self.text()]
        while self.take("+"):
            if self.take("[char]"):
                code = re.compile(r"\d+").match(self.source, self.at)
                assert code
                self.at = code.end()
                parts.append(chr(int(code[0])))
            else:
                parts.append(self.text())
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16")

    def text(self) -> str:
        self.need("'")
        units = []
        while True:
            char = self.source[self.at]
            self.at += 1
            if char not in self.quotes:
                units.append(char)
            elif self.source[self.at : self.at + 1] and self.source[self.at] in self.quotes:
                units.append(char)
                self.at += 1
            else:
                return "".join(units)


READERS: dict[str, tuple[type[Reader], str, str]] = {
    R: (RReader, "x = ", ""),
    JULIA: (JuliaReader, "x = ", ""),
    SCALA: (ScalaReader, "val x = ", ""),
    MATLAB: (MatlabReader, "x = ", ";"),
    CSHARP: (CSharpReader, "var x = ", ";"),
    FSHARP: (FSharpReader, "let x = ", ""),
    POWERSHELL: (PowerShellReader, "$x = ", ""),
}


def read_back(language: str, value: Any) -> Any:
    source = parameter_literals.write_cell({"x": value}, language)
    comment, rest = source.split("\n", 1)
    assert comment.endswith(" Parameters")
    reader, begin, end = READERS[language]
    rest = rest.removesuffix("\n").replace("object x = null", "var x = null", 1)
    assert rest.startswith(begin)
    assert rest.endswith(end)
    return reader(rest[len(begin) : len(rest) - len(end)]).read()


@pytest.mark.parametrize("language", READERS)
@settings(deadline=None, max_examples=150)
@given(value=VALUES)
def test_the_other_languages(language: str, value: Any) -> None:
    if language == POWERSHELL and _has_keys_of_one_name(value):
        with pytest.raises(errors.InvalidRequestError):
            read_back(language, value)
        return
    read = read_back(language, value)
    if language in (R, MATLAB):
        value, read = _as_doubles(value), _as_doubles(read)
    assert same(value, read)


def _has_keys_of_one_name(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_keys_of_one_name, value))
    return isinstance(value, dict) and (
        len({key.casefold() for key in value}) < len(value)
        or any(map(_has_keys_of_one_name, value.values()))
    )


def _as_doubles(value: Any) -> Any:
    """Return a value as a language has it whose every number is a double."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [_as_doubles(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_doubles(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("language", READERS)
@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts(language: str, text: str) -> None:
    assert read_back(language, text) == text
    assert read_back(language, {text: [text]}) == {text: [text]}


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30])
@pytest.mark.parametrize("language", READERS)
def test_whole_numbers_that_no_double_holds(language: str, number: int) -> None:
    if language in (R, MATLAB):
        with pytest.raises(errors.InvalidRequestError) as caught:
            parameter_literals.write_cell({"x": 1, "big": [number]}, language)
        assert list(caught.value.fields) == ["parameters.big"]
        assert "send it as text" in caught.value.fields["parameters.big"]
    else:
        assert read_back(language, [number]) == [number]


@pytest.mark.parametrize(
    ("language", "value", "said"),
    [
        (R, "a\0b", "NUL"),
        (R, {"a": ["\0"]}, "NUL"),
        (BASH, "a\0b", "NUL"),
        (BASH, {"a": 1}, "an object"),
        (BASH, [[1]], "a list with lists"),
        (SCALA, "\x1a", "U+001A"),
        (POWERSHELL, {"a": 1, "A": 2}, "differ only in case"),
        (PYTHON, float("inf"), "JSON cannot represent"),
    ],
)
def test_what_a_language_cannot_hold_is_refused_by_name(
    language: str, value: Any, said: str
) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        parameter_literals.write_cell({"fine": 1, "x": value}, language)
    assert list(caught.value.fields) == ["parameters.x"]
    assert said in caught.value.fields["parameters.x"]


@pytest.mark.parametrize(
    ("language", "names"),
    [
        (BASH, ["größe", "UID", "BASHOPTS", "PATH"]),
        (MATLAB, ["_x", "größe", "end", "m" * 64]),
        (SCALA, ["val", "type"]),
        (CSHARP, ["string", "namespace"]),
        (FSHARP, ["let", "rec"]),
        (POWERSHELL, ["Null", "PID", "home"]),
        (JULIA, ["elseif"]),
        (R, ["_x"]),
    ],
)
def test_names_that_a_language_does_not_take(language: str, names: list[str]) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        parameter_literals.write_cell(dict.fromkeys(names, 1), language)
    assert list(caught.value.fields) == [f"parameters.{name}" for name in names]


@pytest.mark.parametrize(
    ("language", "names"), [(POWERSHELL, ("alpha", "Alpha")), (PYTHON, ("ﬁle", "file"))]
)
def test_two_names_that_are_one_to_the_language(language: str, names: tuple[str, str]) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        parameter_literals.write_cell(dict.fromkeys(names, 1), language)
    assert "is the same name as" in caught.value.fields[f"parameters.{names[1]}"]


@pytest.mark.parametrize(
    ("kernel", "notebooks", "stated", "language"),
    [
        (None, None, "", PYTHON),
        (None, "python3", "", PYTHON),
        (None, "python3", "python", PYTHON),
        (None, "my-env", "Python", PYTHON),
        (None, "ir", "r", R),
        (None, "ir", "", R),
        (None, "ir44", "", R),
        ("julia-1.11", "python3", "python", JULIA),
        ("my-env", "python3", "python", PYTHON),
        (None, ".net-powershell", "PowerShell", POWERSHELL),
        (None, "x", "C#", CSHARP),
        ("sparkkernel", None, "", SCALA),
        (None, "iruby", "", None),
        (None, "iruby", "ruby", None),
        (None, "nosuch", "", None),
        (None, "sagemath", "sage", None),
        (None, "pythonic", "ruby", None),
        (None, "octave", "octave", None),
    ],
)
def test_which_language_a_kernel_speaks(
    kernel: str | None, notebooks: str | None, stated: str, language: str | None
) -> None:
    assert parameter_languages.find_language(kernel, notebooks, stated) == language


def test_every_language_has_a_writer() -> None:
    for language in LANGUAGES:
        assert "x" in parameter_literals.write_cell({"x": 1}, language)


# Whatever a writer may need a word for.
OF_ALL_KINDS = {
    "texts": ["", "a", "é\x1b" * 20_000, "'\"$`!"],
    "numbers": [0, -1, 0.5, 1e300, 2**31, 2**40],
    "mixed": [None, True, 1, "a", [], [1, "a"], {"k": None, "l": [1]}],
    "nothing": None,
    "object": {"k": 1, "l": 2},
    "empty": {},
}
TEXT_LITERALS = re.compile(r"""\$?'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
# Where the word stands in a place of its own: a type, a member, a function, a name of an argument.
NOT_SHADOWED = {
    parameter_languages.R: {"list", "structure", "names", "c", "paste0", "character"},
    SCALA: {"mkString", "L"},
    CSHARP: {"Numerics", "BigInteger", "Parse", "Collections", "Generic", "Dictionary", "L"},
    FSHARP: {"Numerics", "BigInteger", "Parse", "ofList", "string", "list", "L"},
    BASH: {"unset", "v", "true", "false"},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_parameter_can_change_what_the_next_one_means(language: str) -> None:
    """A parameter called ``None`` would, in Scala, be what a null after it becomes."""
    written = []
    for value in OF_ALL_KINDS.values():
        for part in [value, *(value if isinstance(value, list) else ())]:
            try:
                written.append(parameter_literals.write_cell({"zq": part}, language))
            except errors.InvalidRequestError:
                continue
    lines = [line for cell in written for line in cell.splitlines()[1:]]
    assert len(lines) > 10
    code = "\n".join(TEXT_LITERALS.sub("''", line) for line in lines)
    words = set(re.findall(r"(?<![\w$.\[])[A-Za-z_]\w*", code)) - {"zq"}
    words -= NOT_SHADOWED.get(language, set())
    assert words or language in (BASH, POWERSHELL)
    allowed = {w for w in words if not parameter_languages.problem_of_name(w, language)}
    assert not allowed


@pytest.mark.parametrize(
    "name", ["PS0", "PS4", "MAILPATH", "TMOUT", "histchars", "BASH_ENV", "LD_PRELOAD", "LC_ALL"]
)
def test_what_bash_gives_a_meaning_is_no_parameter(name: str) -> None:
    assert "reserved word" in parameter_languages.problem_of_name(name, BASH)


@pytest.mark.parametrize(("one", "other"), [("\u00b5", "\u03bc"), ("\u025b", "\u03b5")])
def test_two_names_that_are_one_to_julia(one: str, other: str) -> None:
    with pytest.raises(errors.InvalidRequestError):
        parameter_literals.write_cell({one: 1, other: 2}, JULIA)
