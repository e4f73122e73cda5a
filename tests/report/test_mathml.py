"""Every cell's equations become well-formed MathML."""

import xml.etree.ElementTree as ElementTree

import pytest

from carousel.cells import SQUASHES, VARIANTS, Cell, Gate, find, latex
from carousel.report import ReportError
from carousel.report.mathml import to_mathml


def _words(math: str) -> str:
    return "".join(ElementTree.fromstring(math).itertext())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_drawn(name: str) -> None:
    for line in latex(find(name)):
        assert _words(to_mathml(line)).startswith(line[0])


@pytest.mark.parametrize("squash", SQUASHES)
def test_every_squash_is_drawn(squash: str) -> None:
    for line in latex(Cell(input=Gate(squash), candidate=Gate(squash), norm="ba2016", projection=True)):
        to_mathml(line)


def test_what_is_drawn_is_what_was_written() -> None:
    drawn = to_mathml(r"c_{t} = f_{t} \odot c_{t-1} + \tanh(W_{z} x_{t})")
    assert _words(drawn) == "ct=ft⊙ct−1+tanh(Wzxt)"
    assert "<msub><mi>c</mi><mrow><mi>t</mi><mo>−</mo><mn>1</mn></mrow></msub>" in drawn


@pytest.mark.parametrize("line", [r"\frac{a}{b}", "a <b", "a_{t", "a}", r"\mathrm x", "a_", r"\mathrm{LN"])
def test_other_latex_is_refused(line: str) -> None:
    with pytest.raises(ReportError, match="equation"):
        to_mathml(line)
