"""MathML for the LaTeX that carousel.cells writes: browsers draw it without a script or a font from elsewhere."""

import re
from html import escape

from carousel.report.errors import ReportError

_TOKEN = re.compile(r"\s*(\\[A-Za-z]+|[A-Za-z]|\d+(?:\.\d+)?|[-+=(){}_^,])")
_COMMANDS = {
    r"\sigma": "<mi>σ</mi>",
    r"\tanh": "<mi>tanh</mi>",
    r"\odot": "<mo>⊙</mo>",
}
_THIN = '<mspace width="0.17em"></mspace>'
"""Between two factors that stand side by side."""
_MINUS = {"-": "−"}


def to_mathml(latex: str) -> str:
    """One equation as a <math> element; ReportError on LaTeX outside the subset that the cells use."""
    tokens = _tokens(latex)
    body = _row(tokens, latex)
    if tokens:
        raise ReportError(f"unbalanced brace in the equation {latex!r}")
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">{body}</math>'


def _tokens(latex: str) -> list[str]:
    tokens, position = [], 0
    while latex[position:].strip():
        match = _TOKEN.match(latex, position)
        if match is None:
            raise ReportError(
                f"the equation {latex!r} has {latex[position:].strip()[0]!r}, which this page cannot draw"
            )
        tokens.append(match[1])
        position = match.end()
    return tokens


def _row(tokens: list[str], latex: str) -> str:
    pieces: list[str] = []
    while tokens and tokens[0] != "}":
        piece = _atom(tokens, latex)
        if tokens and tokens[0] in "_^":
            tag = "msub" if tokens.pop(0) == "_" else "msup"
            piece = f"<{tag}>{piece}{_atom(tokens, latex)}</{tag}>"
        if pieces and piece.startswith("<msub>") and pieces[-1].startswith("<m") and not pieces[-1].startswith("<mo"):
            pieces.append(_THIN)
        pieces.append(piece)
    return f"<mrow>{''.join(pieces)}</mrow>"


def _atom(tokens: list[str], latex: str) -> str:
    if not tokens:
        raise ReportError(f"the equation {latex!r} ends too early")
    token = tokens.pop(0)
    if token == "{":
        inner = _row(tokens, latex)
        if not tokens:
            raise ReportError(f"unbalanced brace in the equation {latex!r}")
        tokens.pop(0)
        return inner
    if token == r"\mathrm":
        return f'<mi mathvariant="normal">{escape("".join(_letters(tokens, latex)))}</mi>'
    if token == r"\bar":
        return f"<mover>{_atom(tokens, latex)}<mo>¯</mo></mover>"
    if token.startswith("\\"):
        return _command(token, latex)
    if token[0].isalpha():
        return f"<mi>{token}</mi>"
    if token in "()":
        return f'<mo stretchy="false">{token}</mo>'
    return f"<mn>{token}</mn>" if token[0].isdigit() else f"<mo>{_MINUS.get(token, token)}</mo>"


def _letters(tokens: list[str], latex: str) -> list[str]:
    if not tokens or tokens.pop(0) != "{" or "}" not in tokens:
        raise ReportError(rf"\mathrm without braces in the equation {latex!r}")
    end = tokens.index("}")
    letters = tokens[:end]
    del tokens[: end + 1]
    return letters


def _command(token: str, latex: str) -> str:
    if token not in _COMMANDS:
        raise ReportError(f"the equation {latex!r} has {token}, which this page cannot draw")
    return _COMMANDS[token]
