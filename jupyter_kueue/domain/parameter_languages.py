"""The language of a run's parameters, and which names can be assigned in it.

Pure. The server checks before a run is accepted and the pod checks again, by the same rules.
"""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from jupyter_kueue.contract.sentences import say

if TYPE_CHECKING:
    from jupyter_kueue.contract.sentences import Sentence

PYTHON = "Python"
R = "R"
JULIA = "Julia"
BASH = "bash"
SCALA = "Scala"
MATLAB = "MATLAB"
CSHARP = "C#"
FSHARP = "F#"
POWERSHELL = "PowerShell"

# The start of a kernel's name; only digits and punctuation may follow.
_BY_KERNEL_NAME = {
    "python": PYTHON,
    "xpython": PYTHON,
    "pysparkkernel": PYTHON,
    "ir": R,
    "xr": R,
    "sparkrkernel": R,
    "julia": JULIA,
    "bash": BASH,
    "scala": SCALA,
    "sparkkernel": SCALA,
    "matlab": MATLAB,
    ".net-csharp": CSHARP,
    ".net-fsharp": FSHARP,
    ".net-powershell": POWERSHELL,
}
_KERNEL_NAME = re.compile(
    rf"(?P<start>{'|'.join(map(re.escape, _BY_KERNEL_NAME))})(?![a-z])", re.IGNORECASE
)
_BY_LANGUAGE = {
    "python": PYTHON,
    "ipython": PYTHON,
    "r": R,
    "julia": JULIA,
    "bash": BASH,
    "scala": SCALA,
    "matlab": MATLAB,
    "c#": CSHARP,
    "csharp": CSHARP,
    "f#": FSHARP,
    "fsharp": FSHARP,
    "powershell": POWERSHELL,
    "pwsh": POWERSHELL,
}
LANGUAGES = tuple(dict.fromkeys(_BY_LANGUAGE.values()))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that a language reserves, that its shell or session gives a meaning (the value of bash's PS0
# is code), or that ``parameter_literals`` writes: a parameter of that name would change the meaning
# of the next one.
_RESERVED = {
    # __debug__ is not a keyword of the tokenizer, but assigning to it is a syntax error.
    PYTHON: frozenset([*keyword.kwlist, "__debug__"]),
    R: _words(
        "if else repeat while function for next break in TRUE FALSE NULL Inf NaN NA NA_integer_ "
        "NA_real_ NA_complex_ NA_character_"
    ),
    JULIA: _words(
        "begin while if for try return break continue function macro quote let local global const "
        "do struct module baremodule using import export end else elseif catch finally true "
        "false public nothing Any Dict String"
    ),
    # Bash's manual, "Shell Variables"; also all names with one of _BASH_PREFIXES.
    BASH: _words(
        "_ CDPATH CHILD_MAX COLUMNS COMPREPLY COPROC DIRSTACK EMACS ENV EPOCHREALTIME "
        "EPOCHSECONDS EUID EXECIGNORE FCEDIT FIGNORE FUNCNAME FUNCNEST GLOBIGNORE GLOBSORT GROUPS "
        "HISTCMD HISTCONTROL HISTFILE HISTFILESIZE HISTIGNORE HISTSIZE HISTTIMEFORMAT HOME "
        "HOSTFILE HOSTNAME HOSTTYPE IFS IGNOREEOF INPUTRC INSIDE_EMACS LANG LANGUAGE LINENO LINES "
        "MACHTYPE MAIL MAILCHECK MAILPATH MAPFILE OLDPWD OPTARG OPTERR OPTIND OSTYPE PATH "
        "PIPESTATUS POSIXLY_CORRECT PPID PROMPT_COMMAND PROMPT_DIRTRIM PS0 PS1 PS2 PS3 PS4 PWD "
        "RANDOM REPLY SECONDS SHELL SHELLOPTS SHLVL SRANDOM TERM TIMEFORMAT TMOUT TMPDIR UID "
        "auto_resume histchars"
    ),
    SCALA: _words(
        "abstract case catch class def do else enum export extends false final finally for "
        "forSome given if implicit import lazy macro match new null object override package "
        "private protected return sealed super then this throw trait true try type val var while "
        "with yield _ None Seq Map Any String BigInt"
    ),
    MATLAB: _words(
        "break case catch classdef continue else elseif end for function global if otherwise "
        "parfor persistent return spmd switch try while ans char containers newline string "
        "true false NaN"
    ),
    CSHARP: _words(
        "abstract as base bool break byte case catch char checked class const continue decimal "
        "default delegate do double else enum event explicit extern false finally fixed float for "
        "foreach goto if implicit in int interface internal is lock long namespace new null object "
        "operator out override params private protected public readonly ref return sbyte sealed "
        "short sizeof stackalloc static string struct switch this throw true try typeof uint ulong "
        "unchecked unsafe ushort using virtual void volatile while var System"
    ),
    FSHARP: _words(
        "abstract and as asr assert base begin bigint box break checked class component const "
        "constraint continue default delegate do done downcast downto elif else end event "
        "exception extern external false finally fixed for fun function global if in include "
        "inherit inline interface internal land lazy let lor lsl lsr lxor match member mixin mod "
        "module mutable namespace new not null of open or override parallel private process "
        "protected public pure rec return sealed select sig static struct tailcall then to trait "
        "true try type upcast use val virtual void when while with yield _ Map None System box obj"
    ),
    # In lower case: PowerShell's names ignore case.
    POWERSHELL: _words(
        "_ args consolefilename error event eventargs eventsubscriber executioncontext false "
        "foreach home host input iscoreclr islinux ismacos iswindows lastexitcode matches "
        "myinvocation nestedpromptlevel null pid profile psboundparameters pscmdlet "
        "pscommandpath psculture psdebugcontext psedition pshome psitem psscriptroot "
        "pssenderinfo psuiculture psversiontable pwd sender shellid stacktrace switch this "
        "true"
    ),
}
_BASH_PREFIXES = ("BASH", "COMP_", "DYLD_", "LC_", "LD_", "READLINE_")
# Languages whose names are ASCII letters, digits and _ only.
_ASCII_NAMES = frozenset({BASH, MATLAB})
# MATLAB's namelengthmax.
_MATLAB_NAME_LENGTH = 63


def find_language(kernel_name: str | None, notebooks_kernel: str | None, stated: str) -> str | None:
    """Return the language of the kernel that a notebook will run in; None if it is unknown.

    Args:
        kernel_name: the kernel that the run requests, None for the notebook's own.
        notebooks_kernel: the kernel that the notebook names, None if it names none.
        stated: the language that the notebook states, empty if none.
    """
    name = kernel_name or notebooks_kernel
    known = _KERNEL_NAME.match(name or "")
    if known:
        return _BY_KERNEL_NAME[known["start"].lower()]
    if name is None and not stated:
        return PYTHON
    return _BY_LANGUAGE.get(stated.lower())


def unknown_language(kernel_name: str | None, stated: str) -> Sentence:
    """Return the message for a language that ``find_language`` does not know."""
    return say(
        "parameter-language-unknown",
        "cannot be passed to the kernel {kernel} (language {language}), only "
        "to {languages}. Run the notebook without parameters, or read them "
        "from a file",
        kernel=repr(kernel_name or ""),
        language=repr(stated or "unknown"),
        languages=LANGUAGES,
    )


def problem_of_name(name: str, language: str) -> Sentence | None:
    """Return why ``name``, an identifier, cannot be assigned in that language; None if it can."""
    shown = name.lower() if language == POWERSHELL else name
    is_bashs = language == BASH and name.startswith(_BASH_PREFIXES)
    if is_bashs or shown in _RESERVED[language]:
        return say(
            "parameter-reserved-word",
            "is a reserved word of {language}; rename the parameter",
            language=language,
        )
    if language in (R, MATLAB) and name.startswith("_"):
        return say(
            "parameter-begins-with-underscore",
            "begins with _, which {language} does not allow; rename the parameter",
            language=language,
        )
    if language in _ASCII_NAMES and not name.isascii():
        return say(
            "parameter-letters-not-taken",
            "has letters that {language} does not allow in a name; rename the parameter",
            language=language,
        )
    if language == MATLAB and len(name) > _MATLAB_NAME_LENGTH:
        return say(
            "parameter-too-long-for-matlab",
            "is longer than MATLAB's limit of {most} characters; rename the parameter",
            most=_MATLAB_NAME_LENGTH,
        )
    return None
