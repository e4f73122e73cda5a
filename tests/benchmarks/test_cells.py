"""The kernel benchmark still asks every question, refuses wrong results, and its page says what was measured."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks import __main__
from benchmarks.cells import (
    cases,
    costs,
    crowd,
    fallbacks,
    jax_peer,
    memory,
    online,
    onnx_peer,
    page,
    peers,
    population,
    records,
    run,
    streaming,
    timing,
    transcription,
    vanilla,
    variants,
)
from benchmarks.cells.records import Answer, Figure, Row
from benchmarks.results import RESULTS
from benchmarks.results import read_all as read_estimators
from carousel.ops import only, transducer_loss
from tests.ops.cpu.extension import needs_extension

TINY = timing.Effort(0.0, 2, 2, crowd_seconds=0.0, crowd_tries=1)
PROBLEMS = [cases.shape("3-2-2-4"), cases.shape("4-1-3-6")]


@pytest.fixture
def reference() -> Iterator[None]:
    """What is tested is the benchmark, on the backend that is everywhere."""
    with only("reference"):
        yield


def answered(answer: Answer, rows: int, figures: int) -> None:
    """All rows are there, right and timed, with so many figures."""
    assert len(answer.rows) == rows
    assert not [row.note for row in answer.rows if row.wrong]
    assert all(row.timings for row in answer.rows)
    assert sum(len(row.figures) for row in answer.rows) == figures
    assert all(row.label in page.section(answer) for row in answer.rows)


@pytest.mark.usefixtures("reference")
def test_lstm() -> None:
    answer = vanilla.lstm(TINY, PROBLEMS, [1])
    answered(answer, 4, 4)
    ratios = [figure.value for row in answer.rows for figure in row.figures]
    assert answer.summary[0].value == pytest.approx(records.geometric_mean(ratios))


@pytest.mark.usefixtures("reference")
def test_share() -> None:
    answered(vanilla.share(TINY, PROBLEMS[:1], [1]), 2, 4)


@pytest.mark.usefixtures("reference")
def test_bfloat16() -> None:
    answered(vanilla.bfloat16(TINY, PROBLEMS[:1], [1]), 1, 3)


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(("ask", "figures"), [(fallbacks.ragged, 4), (fallbacks.projection, 2), (fallbacks.float64, 2)])
def test_fallbacks(ask: Callable[..., Answer], figures: int) -> None:
    answered(ask(TINY, PROBLEMS), 2, figures)


@pytest.mark.usefixtures("reference")
def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = {cases.OURS: 4.0, memory.FEW: 1.0, cases.TORCH: 8.0}
    monkeypatch.setattr(memory, "FORGET", tmp_path)
    monkeypatch.setattr(memory, "measured", lambda kind, _: {"held": found[kind] / 2, "peak": found[kind]})
    answer = memory.memory(TINY, PROBLEMS)
    answered(answer, 2, 16)
    assert [figure.value for figure in answer.rows[0].figures[1:]] == [0.25, 2.0, 0.5, 4.0, 4.0, 1.0, 8.0]
    monkeypatch.setattr(memory, "FORGET", tmp_path / "none")
    assert "No memory was measured" in page.section(memory.memory(TINY, PROBLEMS[:1]))


def test_population() -> None:
    answer = population.population(TINY, PROBLEMS, [1], networks=3)
    answered(answer, 2, 8)
    assert "torch.func.vmap over nn.LSTM: " in page.section(answer)


@needs_extension
def test_online() -> None:
    answer = online.online(TINY, [(2, 1, 3), (4, 2, 1)], steps=7)
    answered(answer, 4, 8)
    labels = ["lstm1997, 2 cells, 3 nets", "lstm1997, 2 blocks of 2 cells, 1 net"]
    assert [row.label for row in answer.rows] == labels + [label.replace("1997", "") for label in labels]


@needs_extension
@pytest.mark.slow
@pytest.mark.skipif(not memory.FORGET.exists(), reason="only Linux tells the peak of a process")
def test_a_step_that_keeps_less_is_seen_to() -> None:
    """A thousand steps of 16 sequences and 64 cells keep six times 4 MB, or a little more than outputs of 4 MB."""
    whole, few = (memory.measured(kind, "1000-16-4-64") for kind in (cases.OURS, memory.FEW))
    assert whole["peak"] >= whole["held"] > 20 > 8 > few["held"] > 4
    assert few["peak"] < whole["held"]


@pytest.mark.usefixtures("reference")
def test_streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_peer, "installed", lambda: False)
    answer = streaming.streaming(TINY, PROBLEMS)
    answered(answer, 4, 6)
    assert "onnxruntime is not installed" in page.section(answer)


@pytest.mark.usefixtures("reference")
def test_onnxruntime_computes_the_same() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    answered(streaming.streaming(TINY, PROBLEMS), 4, 10)


def test_without_jax_its_question_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax_peer, "installed", lambda: False)
    answer = jax_peer.scans(TINY, PROBLEMS)
    assert not answer.rows
    assert "JAX is not installed" in page.section(answer)


@pytest.mark.usefixtures("reference")
def test_scans_of_jax_compute_the_same() -> None:
    pytest.importorskip("jax")
    answered(
        jax_peer.scans(TINY, PROBLEMS), 2 * len(PROBLEMS) * len(jax_peer.STEPS), 2 * len(PROBLEMS) * len(jax_peer.STEPS)
    )


@needs_extension
def test_transcription() -> None:
    asked = transcription.transcription(TINY, (2, 12, 3))
    peers = sum(len(row.timings) - 2 for row in asked.rows[1:3]) + (len(asked.rows[3].timings) - 1)
    answered(asked, 6, 8 + peers)


def test_a_wrong_transducer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(*given: Tensor, **options: Tensor) -> Tensor:
        return transducer_loss(*given, **options) / 2  # type: ignore[arg-type]

    monkeypatch.setattr(transcription, "transducer_loss", half)
    wrong = [row.wrong for row in transcription.transcription(TINY, (2, 12, 3)).rows]
    assert wrong == [False, True, True, False, False, False]


@pytest.mark.usefixtures("reference")
def test_variants() -> None:
    answer = variants.variants(TINY, PROBLEMS)
    answered(answer, 2 * (1 + len(cases.ROWS)), 2 * 2 * len(cases.ROWS))


@pytest.mark.usefixtures("reference")
def test_a_cell_with_more_products_than_lstm_is_given_their_time() -> None:
    problem = PROBLEMS[0]
    names = {"lstm": {}, "fgr": {"cell": "fgr"}, "coupled": {"cell": "coupled"}}
    counts = {name: cases.operations(problem, cases.ours(problem, **options)) for name, options in names.items()}
    assert counts["lstm"] == cases.operations(problem) == 2 * 3 * 2 * 16 * (2 + 4)
    assert counts["coupled"] == counts["lstm"] * 3 / 4
    columns = [variants._Column(problem, counts, {name: timing.timing(name, [1.0]) for name in counts})]
    values = [variants._cell_row(name, cases.TRAINING, columns).figures[0].value for name in ("fgr", "coupled")]
    assert values == [counts["fgr"] / counts["lstm"], 1.0]


@pytest.mark.usefixtures("reference")
def test_peers() -> None:
    names = ["peephole", "coupled", "norm", "lstm1997"]
    answered(variants.peers(TINY, PROBLEMS[:1], names), 7, 7)


@pytest.mark.usefixtures("reference")
def test_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(peer: peers.Peer) -> peers.Loop:
        if peer.step is peers.norm_step:
            raise RuntimeError("no compiler\nhere")
        return peer.eager()

    def broken(peer: peers.Peer) -> peers.Loop:
        def loop(*_: object) -> Tensor:
            return compiled(peer)  # type: ignore[return-value]

        return loop if peer.step is peers.norm_step else compiled(peer)

    monkeypatch.setattr(peers.Peer, "compiled_step", broken)
    monkeypatch.setattr(peers.Peer, "compiled", compiled)
    answer = variants.compiled(TINY, PROBLEMS[:1])
    answered(answer, 2, 1)
    assert "s to compile" in answer.rows[0].note
    assert "compiled step failed: no compiler" in answer.rows[1].note
    assert "Left out" in page.section(variants.compiled(timing.QUICK))


@pytest.mark.slow
def test_the_crowd_answers_and_goes_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "SETTLED", 0.0)
    monkeypatch.setattr(crowd, "LEAST", 1)
    answer = crowd.crowd(TINY, "3-2-2-4", (2,))
    answered(answer, 7, 10)
    assert [row.label for row in answer.rows if "alone" in row.label] == ["carousel, alone", "nn.LSTM, alone"]
    assert all(row.timings[0].samples >= crowd.LEAST for row in answer.rows)


def test_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "IMPORT", "print(0.25)")
    answer = costs.costs(timing.Effort(rounds=1, quick=True))
    answered(answer, 1, 1)
    assert answer.figures[0].met is False
    assert "Left out of a quick run: the build" in page.section(answer)


@pytest.mark.usefixtures("reference")
def test_a_wrong_result_is_told_and_not_timed() -> None:
    module, x = cases.ours(PROBLEMS[0]), cases.inputs(PROBLEMS[0])
    off = cases.Contestant(module, lambda module, x: module(x)[0] * 1.001)
    contestants = {cases.OURS: off, cases.TORCH: cases.Contestant(cases.theirs(module))}
    for work in cases.WORKS:
        row = cases.compared(Row("x", work, 1), contestants, x, TINY)
        cases.against(row, cases.TORCH)
        assert row.wrong
        assert "result 0 of carousel lies 1.0e-03 from nn.LSTM's" in row.note
        assert not row.timings
        assert not row.figures


@pytest.mark.usefixtures("reference")
def test_a_wrong_gradient_is_seen() -> None:
    def bent(module: nn.Module, x: Tensor) -> Tensor:
        output = module(x)[0]
        return output.detach() + 1.01 * (output - output.detach())

    module, x = cases.ours(PROBLEMS[0]), cases.inputs(PROBLEMS[0])
    contestants = {cases.OURS: cases.Contestant(module, bent), cases.TORCH: cases.Contestant(cases.theirs(module))}
    assert cases.compared(Row("x", cases.TRAINING, 1), contestants, x, TINY).wrong
    assert not cases.compared(Row("x", cases.INFERENCE, 1), contestants, x, TINY).wrong


def test_contestants_take_turns() -> None:
    calls: list[str] = []
    works = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    timings = timing.interleaved(works, timing.Effort(0.0, 6, 6))
    assert [each.name for each in timings] == ["a", "b", "c"]
    assert {each.samples for each in timings} == {6}
    assert set(calls) == {*"abc"}
    assert all(each.p5 <= each.median <= each.p95 for each in timings)


def test_threads_are_put_back() -> None:
    with timing.threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1


def test_a_figure_knows_its_target() -> None:
    assert Figure("x", 1.3, 1.25).met
    assert not Figure("x", 1.2, 1.25).met
    assert Figure("x", 0.1, 0.15, lower=True).met
    assert Figure("x", 1.0).met is None
    assert page.told(Figure("x", 1.2, 1.25)) == "1.2× ✗"
    assert page.wanted([Figure("x", 1.2, 1.25), Figure("x", 2.0)]) == " (≥ 1.25×)"
    assert page.reached(Figure("x", 0.1, 0.2, lower=True)) == page.reached(Figure("x", 2.0, 1.0)) == 2.0


def answer(name: str, value: float) -> Answer:
    row = Row("a-b", cases.TRAINING, 1, [timing.timing("carousel", [2e-3, 3e-3])], [Figure("gain", value, 1.0)])
    row.note = "one | two"
    return Answer(name, name.upper(), "How.", [row], machine=run.described(), load=[0.0, 1.0])


def test_answers_are_kept_beside_those_of_other_questions(tmp_path: Path) -> None:
    first, second, newer = answer("first", 1.0), answer("second", 2.0), answer("first", 3.0)
    for each in (first, second, newer):
        records.keep([each], tmp_path)
    (kept,) = records.read_all(tmp_path).values()
    assert kept == [newer, second]
    assert read_estimators(tmp_path) == []


def test_a_machine_has_a_word() -> None:
    processor = "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert records.word({"processor": processor, "cores": 8}) == "intel-xeon-platinum-8481c-8"


def test_the_page_shows_each_machine(tmp_path: Path) -> None:
    shown = page.text({"here": [answer("first", 0.5)]})
    assert "| a-b | training step | 1 | 2.5 ms (2.05–2.95) | 0.5× ✗ | one \\| two |" in shown
    assert "| gain (≥ 1×) |" in shown
    assert "0 of 1 targets are met." in shown
    assert "No machine has been measured" not in shown
    assert "Others were at work" not in shown
    crowded = answer("first", 0.5)
    crowded.load[0] = crowded.machine["cores"] + 1.0
    assert "Others were at work" in page.section(crowded)
    page.draw([answer("first", 0.5)], tmp_path / "speed.svg")
    assert "first" in (tmp_path / "speed.svg").read_text(encoding="utf-8")


def test_the_page_is_current() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "stale; `python -m benchmarks page` writes it anew"
    assert all(page._figure(name).exists() for name in records.read_all(RESULTS))


def test_a_quick_run_is_printed_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[Answer] = []
    monkeypatch.setattr(records, "keep", kept.extend)
    monkeypatch.setattr(run, "QUESTIONS", {"one": lambda effort: answer("one", 2.0)})
    assert __main__._cells(__main__._parsed(["cells", "--quick"], ["cells"]))
    assert not kept
    assert "### ONE" in capsys.readouterr().out
    assert __main__._cells(__main__._parsed(["cells", "--only", "one"], ["cells"]))
    assert [each.name for each in kept] == ["one"]
    with pytest.raises(SystemExit):
        __main__._parsed(["cells", "--only", "two"], ["cells"])
