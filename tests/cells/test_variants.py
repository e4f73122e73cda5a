"""The table: its names, its short names, its sources, and what each row says."""

from dataclasses import fields

import pytest

from carousel.cells import (
    ALIASES,
    VARIANTS,
    Cell,
    Complement,
    Open,
    bibliography,
    citation,
    equations,
    find,
    latex,
    name_of,
)

GREFF = {
    "nig": ("input", Open()),
    "nfg": ("forget", Open()),
    "nog": ("output", Open()),
    "cifg": ("forget", Complement("input")),
    "noaf": ("squash", "identity"),
    "fgr": ("full_gate_recurrence", True),
}


def test_the_table_has_all_twelve() -> None:
    assert len(VARIANTS) == 12
    assert "peephole_matrix_tanh" in VARIANTS


@pytest.mark.parametrize(("alias", "change"), GREFF.items())
def test_greffs_variants_differ_from_vanilla_in_one_place(alias: str, change: tuple[str, object]) -> None:
    cell, vanilla = find(alias), find("peephole")
    said = [field.name for field in fields(Cell) if field.init]
    differs = {name for name in said if getattr(cell, name) != getattr(vanilla, name)}
    assert differs == {change[0], "source"}
    assert getattr(cell, change[0]) == change[1]


def test_no_input_activation_is_linear_there_alone() -> None:
    assert find("niaf").candidate.squash == "identity"
    assert find("niaf").squash == "tanh"


def test_no_peepholes_is_the_plain_cell() -> None:
    assert find("np") is VARIANTS["lstm"]


@pytest.mark.parametrize("name", [*VARIANTS, *ALIASES])
def test_names_are_found_whatever_their_case(name: str) -> None:
    assert find(name.upper()) is find(name)


def test_a_cell_of_ones_own_is_found_as_it_is() -> None:
    mine = Cell(output=Open())
    assert find(mine) is mine


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_has_its_source_and_a_line_to_cite(name: str) -> None:
    fields = bibliography()[VARIANTS[name].source]
    assert citation(VARIANTS[name])[0].startswith(fields["author"])
    assert all(fields.get(key) for key in ("author", "year", "title", "where"))


def test_options_cite_their_papers() -> None:
    cited = " ".join(citation(find("lstm").with_options(norm="ba2016", projection=True, block=2)))
    assert all(author in cited for author in ("Gers", "Ba, J. L.", "Sak", "Hochreiter"))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_row_knows_its_name(name: str) -> None:
    assert name_of(VARIANTS[name]) == name
    assert name_of(VARIANTS[name].with_options(block=2, norm="ba2016")) == f"{name}+block2+norm-ba2016"


def test_a_cell_that_is_not_in_the_table_is_custom() -> None:
    assert name_of(Cell(output=Open(), squash="relu")) == "custom"


GOLDEN = {
    "lstm": """
        i_t = σ(W_i x_t + R_i h_{t-1} + b_i)
        f_t = σ(W_f x_t + R_f h_{t-1} + b_f)
        z_t = tanh(W_z x_t + R_z h_{t-1} + b_z)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t
        o_t = σ(W_o x_t + R_o h_{t-1} + b_o)
        h_t = o_t ⊙ tanh(c_t)""",
    "lstm1997": """
        i_t = σ(W_i x_t + R_i h_{t-1} + b_i)
        f_t = 1
        z_t = g1997(W_z x_t + R_z h_{t-1} + b_z)
        c_t = c_{t-1} + i_t ⊙ z_t
        o_t = σ(W_o x_t + R_o h_{t-1} + b_o)
        h_t = o_t ⊙ h1997(c_t)""",
    "peephole_matrix": """
        i_t = σ(W_i x_t + R_i c_{t-1} + b_i)
        f_t = σ(W_f x_t + R_f c_{t-1} + b_f)
        z_t = tanh(W_z x_t + b_z)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t
        o_t = σ(W_o x_t + R_o c_{t-1} + b_o)
        h_t = o_t ⊙ c_t""",
    "coupled": """
        i_t = σ(W_i x_t + R_i h_{t-1} + p_i ⊙ c_{t-1} + b_i)
        f_t = 1 - i_t
        z_t = tanh(W_z x_t + R_z h_{t-1} + b_z)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t
        o_t = σ(W_o x_t + R_o h_{t-1} + p_o ⊙ c_t + b_o)
        h_t = o_t ⊙ tanh(c_t)""",
    "no_output_gate": """
        i_t = σ(W_i x_t + R_i h_{t-1} + p_i ⊙ c_{t-1} + b_i)
        f_t = σ(W_f x_t + R_f h_{t-1} + p_f ⊙ c_{t-1} + b_f)
        z_t = tanh(W_z x_t + R_z h_{t-1} + b_z)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t
        o_t = 1
        h_t = tanh(c_t)""",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_equations(name: str) -> None:
    assert equations(VARIANTS[name]) == [line.strip() for line in GOLDEN[name].strip().splitlines()]


def test_equations_of_options() -> None:
    lines = equations(find("lstm").with_options(norm="ba2016", projection=True))
    assert lines[0] == "i_t = σ(LN(W_i x_t) + LN(R_i h_{t-1}) + b_i)"
    assert lines[-2:] == ["m_t = o_t ⊙ tanh(LN(c_t))", "h_t = P m_t"]
    assert equations(find("lstm").with_options(norm="torch_sample"))[3] == "c_t = LN(f_t ⊙ c_{t-1} + i_t ⊙ z_t)"
    assert "G_if f_{t-1}" in equations(find("fgr"))[0]


@pytest.mark.parametrize("name", VARIANTS)
def test_latex_says_the_same_in_braces(name: str) -> None:
    lines = latex(VARIANTS[name])
    assert len(lines) == len(equations(VARIANTS[name]))
    assert all(line.count("{") == line.count("}") for line in lines)


def test_latex() -> None:
    assert latex(find("peephole"))[4:] == [
        r"o_{t} = \sigma(W_{o} x_{t} + R_{o} h_{t-1} + p_{o} \odot c_{t} + b_{o})",
        r"h_{t} = o_{t} \odot \tanh(c_{t})",
    ]
