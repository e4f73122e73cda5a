"""The picture of Jacobian norms: files of each format, and plain refusals."""

from pathlib import Path

import pytest

from carousel.report import ReportError, draw_gradient_norms, fresh_norms, random_inputs


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_written_in_the_format_of_its_name(ending: str, magic: bytes, tmp_path: Path) -> None:
    x = random_inputs(6, 2, 2)
    nets = [fresh_norms(name, x, 6, hidden=3) for name in ("rnn", "lstm1997", "peephole_matrix")]
    path = draw_gradient_norms(nets, tmp_path / f"flow.{ending}")
    assert path.read_bytes().startswith(magic)
    assert [found.name for found in tmp_path.iterdir()] == [f"flow.{ending}"]


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no net to draw"):
        draw_gradient_norms([], tmp_path / "flow.png")
    with pytest.raises(ReportError, match=r"ends in \.png, \.svg or \.pdf"):
        draw_gradient_norms([fresh_norms("rnn", random_inputs(2, 1, 1), hidden=1)], tmp_path / "flow.docx")
    assert not list(tmp_path.iterdir())
