"""The benchmark of graphics processors loses no row to another one, keeps to its time, and fills the table of tiers."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_cases, gpu_questions
from benchmarks.cells.records import Row, Timing
from benchmarks.gpu_cases import Bench, Case, Question
from carousel.cells import find
from carousel.ops import Operands, Reference
from carousel.ops.triton import extension, tiers
from carousel.testing import Problem
from tests.ops.triton.interpreter import needs_interpreter

BENCH, LATER = Bench("cpu", quick=False), time.time() + 1e6


def failing() -> Row:
    raise RuntimeError("out of resources")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Asks of cases a, b, … instead: each gives a row, or does what is given by its name."""

    def ask(count: int, workers: int = 1, **works: Callable[[], Row]) -> None:
        names = "abcdefg"[:count]
        found = [Case(name, works.get(name, lambda name=name: Row(name))) for name in names]
        question = Question("Why", "So.", lambda bench: found, 1.0, workers=workers)
        monkeypatch.setitem(gpu.QUESTIONS, "agreement", question)

    return ask


def notes(rows: list[Row]) -> dict[str, str]:
    return {row.label: row.note for row in rows}


def test_a_row_that_fails_loses_no_other(asked: Callable[..., None], tmp_path: Path) -> None:
    asked(3, b=failing)
    rows = gpu.ask("agreement", BENCH, tmp_path / "rows.jsonl", LATER)
    assert notes(rows) == {"a": "", "b": "failed: RuntimeError: out of resources", "c": ""}
    assert [row.wrong for row in rows] == [False, True, False]


def test_each_row_is_written_before_the_next_case_begins(asked: Callable[..., None], tmp_path: Path) -> None:
    into, seen = tmp_path / "rows.jsonl", []

    def look() -> Row:
        seen.extend(json.loads(line) for line in into.read_text().splitlines())
        return Row("b")

    asked(2, b=look)
    gpu.ask("agreement", BENCH, into, LATER)
    assert [(at, row and row["label"]) for at, row in seen] == [(0, None), (0, "a"), (1, None)]


def test_a_case_at_which_the_process_died_is_not_tried_again(asked: Callable[..., None], tmp_path: Path) -> None:
    into = tmp_path / "rows.jsonl"

    def die() -> Row:
        raise KeyboardInterrupt

    asked(3, b=die)
    with pytest.raises(KeyboardInterrupt):
        gpu.ask("agreement", BENCH, into, LATER)
    rows = gpu.ask("agreement", BENCH, into, LATER)
    assert notes(rows) == {"a": "", "b": "failed: its process died or hung", "c": ""}


def test_what_there_is_no_time_for_is_said_to_be_left_out(asked: Callable[..., None], tmp_path: Path) -> None:
    asked(2)
    rows = gpu.ask("agreement", BENCH, tmp_path / "rows.jsonl", time.time() - 1)
    assert set(notes(rows).values()) == {"left out: no time was left"}


def test_parts_run_side_by_side_and_are_started_again_when_they_die(asked: Callable[..., None], tmp_path: Path) -> None:
    asked(5, workers=2)
    started: list[str] = []

    def start(words: list[str], cache: Path, deadline: float) -> bool:
        name, _, part, _, into = words
        started.append(part)
        number, count = map(int, part.split("/"))
        gpu.ask(name, BENCH, Path(into), deadline, (number, count))
        return (part, started.count(part)) != ("1/2", 1)

    (answer,) = gpu.answers(BENCH, ["agreement"], LATER, tmp_path / "rows", start)
    assert sorted(notes(answer.rows)) == ["a", "b", "c", "d", "e"]
    assert (started.count("0/2"), started.count("1/2")) == (2, 2)


def test_what_is_timed_is_compiled_before_on_all_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is behind the choice of tiers only when that is known."""
    started: list[str] = []

    def start(words: list[str], cache: Path, deadline: float) -> bool:
        started.append(
            " ".join(["warm" if "--warm" in words else "ask", words[0], *words[words.index("--part") + 1 :][:1]])
        )
        return True

    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)))
    asked = {name: Question(name, "So.", lambda bench: [], 1.0, warm=name != "launches") for name in gpu.QUESTIONS}
    monkeypatch.setattr(gpu, "QUESTIONS", asked)
    list(gpu.answers(BENCH, ["launches", "tiers", "cudnn", "variants"], LATER, tmp_path, start))
    first, rest = started[: started.index("ask tiers 0/1")], started[started.index("ask tiers 0/1") + 1 :]
    assert sorted(first) == ["ask launches 0/1", *(f"warm tiers {part}/4" for part in range(4))]
    assert sorted(rest[:4]) == sorted(f"warm {name} {part}/2" for name in ("cudnn", "variants") for part in range(2))
    assert rest[4:] == ["ask cudnn 0/1", "ask variants 0/1"]


def test_to_warm_is_to_work_once_and_to_time_nothing() -> None:
    done: list[str] = []
    works = {name: lambda name=name: done.append(name) for name in ("ours", "theirs")}
    row = Bench("cpu", quick=False, warm=True).timed(Row("a"), works, "ours", 0.0, {"beside": lambda: done.append("b")})
    assert (done, row.timings, row.wrong) == (["ours", "theirs", "b"], [], False)


def measured(label: str, *seconds: float | None) -> Row:
    """A row of the four ways, in their order; None for one that failed."""
    found = zip(gpu_questions.WAYS, seconds, strict=True)
    return Row(label, timings=[Timing(name, each, each, each, 1) for name, each in found if each is not None])


def test_the_table_is_filled_with_what_was_fastest() -> None:
    rows = [
        measured("float32, 16 cells", 3.0, 2.0, 1.0, 9.0), measured("float32, 32 cells", 3.0, 2.0, 2.5, 9.0),
        measured("float32, 64 cells", 9.0, 9.0, 1.0, 9.0), measured("tf32, 16 cells", 3.0, 2.0, None, None),
        measured("float16, 16 cells", 3.0, 2.0, 1.0, 9.0), Row("float16, 32 cells", wrong=True),
        measured("tf32, 1 sequences", 3.0, 2.0, None, 1.0), measured("tf32, 16 sequences", 3.0, 2.0, None, 1.9),
        measured("tf32, 32 sequences", 3.0, 2.0, None, 2.1), measured("float16, 1 sequences", 3.0, 2.0, None, None),
    ]  # fmt: skip
    found, kept = gpu_questions.bounds(rows, "here"), tiers.bounds_of("any")
    assert found.cells == kept.cells | {"float32": 16, "tf32": 0, "float16": 16}
    assert found.together == kept.together | {"tf32": 16, "float16": 0}
    assert found.graphs


def test_first_calls_are_asked_of_ways_that_take_the_cell() -> None:
    labels = [case.label for case in gpu_questions.compilation(BENCH)]
    together = [label.split(",")[0] for label in labels if label.endswith("by programs together")]
    assert "lstm" in together
    assert "lstm with ba2016" not in together
    assert "lstm with ba2016, torch.float32, all steps in one launch" in labels


@pytest.mark.parametrize("hidden", [64, 512])
def test_what_is_measured_does_not_magnify_rounding(hidden: int) -> None:
    """Ways that add in another order agree as closely as the benchmark asks before it times them."""
    operands = gpu_questions.usual(Problem("a loop", 128, 4, 0, hidden))
    found = []
    for dtype in (torch.float32, torch.float64):
        given = [each if each is None else each.detach().to(dtype).requires_grad_() for each in operands.tensors()]
        outputs, _ = Reference().recurrence(find("lstm"), Operands.gather(given, reverse=False))
        found.append([outputs, *torch.autograd.grad(outputs.sum(), [each for each in given if each is not None])])
    for narrow, wide in zip(*found, strict=True):
        assert (narrow - wide).abs().max() <= 1e-4 * wide.abs().max()


@pytest.mark.slow
@needs_interpreter
@pytest.mark.parametrize("name", [name for name in gpu.QUESTIONS if name != "agreement"])
def test_no_case_mixes_tensors_of_two_devices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside tensors without numbers, as if these lay on a graphics processor; kernels are launched and do not run."""
    from carousel.ops.triton import step

    def run(works: Mapping[str, Callable[[], object]], *_: object) -> list[Timing]:
        return [Timing(name, float(work() is not None), 1.0, 1.0, 1) for name, work in works.items()]

    for room in (extension, step):
        monkeypatch.setattr(room, "launch", lambda *given, **named: None)
    monkeypatch.setattr(gpu_cases.cases, "check", run)
    monkeypatch.setattr(gpu_cases.timing, "interleaved", run)
    every = gpu.QUESTIONS[name].cases(Bench("meta", quick=True))
    found = [case for case in every if not case.label.startswith(gpu_questions.RAGGED)]  # lengths are read
    for case in found[:: 1 + len(found) // 20]:
        assert case.work().note == ""


def test_there_must_be_a_processor_unless_it_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "there is no graphics processor here" in capsys.readouterr().err


@pytest.mark.slow
@needs_interpreter
@pytest.mark.parametrize("name", gpu.QUESTIONS)
def test_every_question_is_asked_in_the_interpreter(name: str, tmp_path: Path) -> None:
    (answer,) = gpu.answers(Bench("cpu", quick=True), [name], LATER, tmp_path, None)
    assert len(answer.rows) == gpu.QUICK
    assert [row.note for row in answer.rows if row.wrong] == []
