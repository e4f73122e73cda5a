"""What can be said of CUDA graphs without a device: what is kept for which shapes, and what is copied where."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from carousel.ops.triton.graphs import CudaGraph, Graphs, Tensors, fit


class Recorded:
    """A stand-in for a CUDA graph: a replay does the work again and writes it where the first one went."""

    made: list["Recorded"] = []

    def __init__(self) -> None:
        self.replays = 0
        Recorded.made.append(self)

    def capture(self, work: Callable[[], Tensors]) -> Tensors:
        self.work, self.first = work, work()
        return self.first

    def replay(self) -> None:
        self.replays += 1
        for into, again in zip(self.first, self.work(), strict=True):
            if into is not None and again is not None:
                into.copy_(again)


@pytest.fixture(autouse=True)
def nothing_made_before() -> None:
    Recorded.made.clear()


def doubled(tensors: Tensors) -> Sequence[Tensor | None]:
    return [None if tensor is None else 2 * tensor for tensor in tensors]


def of(*values: float) -> list[Tensor | None]:
    return [torch.tensor(values), None]


def test_a_replay_reads_what_is_given_now_and_results_stay_as_they_were() -> None:
    graphs = Graphs(make=Recorded, sights=1)
    first, second = (graphs.run("double", doubled, of(*values)) for values in ((1.0, 2.0), (3.0, 4.0)))
    assert first[0] is not None
    assert second[0] is not None
    assert (first[0].tolist(), second[0].tolist(), second[1]) == ([2.0, 4.0], [6.0, 8.0], None)
    assert [graph.replays for graph in Recorded.made] == [2]


def test_what_is_given_is_copied_and_warmed_up_before_it_is_captured() -> None:
    done: list[float] = []

    def halved(tensors: Tensors) -> Sequence[Tensor | None]:
        assert tensors[0] is not None
        done.append(float(tensors[0]))
        return [tensors[0] / 2]

    graphs, given = Graphs(make=Recorded, sights=1), [torch.tensor(value) for value in (2.0, 6.0)]
    for each in given:
        graphs.run("halve", halved, [each])
    assert [each.item() for each in given] == [2.0, 6.0], "a replay wrote into the caller's memory"
    assert done == [2.0, 2.0, 2.0, 6.0], "before it, while it is captured, and at each replay"


def test_threads_do_not_write_into_each_other_s_replays() -> None:
    class Slow(Recorded):
        def replay(self) -> None:
            time.sleep(0.01)
            super().replay()

    graphs = Graphs(make=Slow, sights=1)
    graphs.run("double", doubled, of(0.0))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda value: graphs.run("double", doubled, of(value))[0], map(float, range(8))))
    assert [None if each is None else each.item() for each in found] == [2.0 * value for value in range(8)]


def test_a_graph_of_inference_mode_serves_outside_of_it() -> None:
    graphs = Graphs(make=Recorded, sights=1)
    with torch.inference_mode():
        graphs.run("double", doubled, of(1.0))
    (found, _) = graphs.run("double", doubled, of(3.0))
    assert found is not None
    assert found.tolist() == [6.0]
    assert not found.is_inference()


def test_other_shapes_dtypes_names_and_streams_have_graphs_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = Graphs(make=Recorded, sights=1)
    given = [of(1.0), of(1.0, 2.0), [torch.tensor([1]), None], [None, torch.tensor([1.0])]]
    for tensors in given:
        graphs.run("double", doubled, tensors)
    graphs.run("another", doubled, given[0])
    assert len(Recorded.made) == 5
    graphs.run("double", doubled, [torch.arange(4.0)[::2], None])
    assert len(Recorded.made) == 5, "strides are those of its own copies"
    monkeypatch.setattr("carousel.ops.triton.graphs.stream", lambda: 7)
    graphs.run("double", doubled, given[0])
    assert len(Recorded.made) == 6, "another stream"


def test_the_graph_used_longest_ago_is_dropped() -> None:
    graphs = Graphs(most=2, make=Recorded, sights=1)
    for values in ((1.0,), (1.0, 2.0), (1.0,), (1.0, 2.0, 3.0), (1.0,), (1.0, 2.0), (1.0, 2.0)):
        graphs.run("double", doubled, of(*values))
    assert [graph.replays for graph in Recorded.made] == [3, 1, 1, 1]


def test_graphs_are_dropped_for_their_memory_too() -> None:
    """Four bytes a number, read and written."""
    graphs = Graphs(make=Recorded, sights=1, memory=100)
    for count in (4, 4, 8, 8, 4, 100, 4, 8, 100):
        graphs.run("double", doubled, of(*[1.0] * count))
    assert [graph.replays for graph in Recorded.made] == [3, 2, 2], "the largest alone is kept"
    graphs.forget()
    graphs.run("double", doubled, of(*[1.0] * 100))
    assert len(Recorded.made) == 3, "to be captured, it has to come four times"


def test_shapes_have_to_come_more_often_where_there_are_many() -> None:
    """Nine shapes in turn, and eight graphs: captures become rare."""
    graphs = Graphs(most=8, make=Recorded)
    for turn in range(2000):
        graphs.run("double", doubled, of(*[1.0] * (1 + turn % 9)))
    assert len(Recorded.made) < 30


def test_what_cannot_be_captured_runs_by_itself() -> None:
    class Refusing(Recorded):
        def capture(self, work: Callable[[], Tensors]) -> Tensors:
            raise RuntimeError("operation not permitted when stream is capturing")

    graphs = Graphs(make=Refusing, sights=1)
    with pytest.warns(UserWarning, match="not gathered"):
        (found, _) = graphs.run("double", doubled, of(1.0))
    assert found is not None
    assert found.tolist() == [2.0]
    graphs.run("double", doubled, of(1.0))
    assert len(Recorded.made) == 1


def test_the_stream_is_as_before_also_where_a_capture_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own graph leaves it only where the end of the capture goes well."""
    streams = ["before"]

    class Capture:
        def __init__(self, *_: object, **__: object) -> None:
            streams.append("aside")

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            raise RuntimeError("the capture was invalidated")

    for name in ("CUDAGraph", "Stream"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "graph", Capture)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams[-1])
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    with pytest.raises(RuntimeError, match="invalidated"):
        CudaGraph().capture(list)
    assert streams == ["before", "aside", "before"]


def test_shapes_that_come_once_are_not_captured() -> None:
    graphs = Graphs(make=Recorded)
    for count in (1, 2, 3, 2, 2, 4):
        (found, _) = graphs.run("double", doubled, of(*[1.0] * count))
        assert found is not None
        assert found.tolist() == [2.0] * count
    assert [graph.replays for graph in Recorded.made] == [2], "two numbers came three times"


def test_shapes_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel.ops.triton.graphs.REMEMBERED", 2)
    graphs = Graphs(make=Recorded)
    for count in (1, 2, 3, 1):
        graphs.run("double", doubled, of(*[1.0] * count))
    assert Recorded.made == []


def test_there_is_none_without_a_graphics_processor() -> None:
    assert not fit(of(1.0))
