"""Many launches gathered in one CUDA graph: captured for each set of shapes that comes again, replayed on its memory.

A capture costs more than it saves where every batch has a length of its own: shapes that came once are not captured,
and each time that a graph is dropped for another, shapes have to come twice as often.

No graph has been captured on a device yet. The table of `tiers` says of a device whether they were faster there;
`Triton(graphs=False)` does without.
"""

import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

Tensors = Sequence[Tensor | None]
Function = Callable[[Tensors], Tensors]
MOST, SHARE = 32, 16
"""How many graphs are kept at once, and what part of a device's memory what they read and write may be: a sixteenth.
One is kept in any case."""
SIGHTS, SELDOM, REMEMBERED = 2, 1024, 256
"""The time at which shapes are captured that come again, at most and where graphs were dropped for others, and how many
shapes are remembered that came before."""


class Graph(Protocol):
    """Work that is recorded once and done again on the same memory."""

    def capture(self, work: Callable[[], Tensors]) -> Tensors:
        """Record what the work launches; returns what it makes, whose memory every replay writes."""
        ...

    def replay(self) -> None:
        """Do it again."""
        ...


class CudaGraph:
    """By torch's own CUDA graphs."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def capture(self, work: Callable[[], Tensors]) -> Tensors:
        """Record what the work launches, on a stream of its own: torch's stands on the device that was first used.

        Other threads go on, and the stream is as before also where it fails.
        """
        before = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(self._graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
                return work()
        finally:
            torch.cuda.set_stream(before)

    def replay(self) -> None:
        """Do it again, on the current stream."""
        self._graph.replay()


class Captured:
    """A function of tensors, captured on copies of the first ones, which it keeps."""

    def __init__(self, function: Function, tensors: Tensors, graph: Graph) -> None:
        self._given = copies(tensors)
        function(self._given)
        self._graph, self._made = graph, graph.capture(lambda: function(self._given))

    @property
    def bytes(self) -> int:
        """The memory of what it reads and writes, but for what it needs in between."""
        return sum(each.nbytes for each in (*self._given, *self._made) if each is not None)

    def __call__(self, tensors: Tensors) -> Tensors:
        """What the function makes of others of the same shapes, in memory of the caller's own."""
        for mine, theirs in zip(self._given, tensors, strict=True):
            if mine is not None and theirs is not None:
                mine.copy_(theirs)
        self._graph.replay()
        return copies(self._made)


class Graphs:
    """The graphs that are kept, the one used longest ago dropped first."""

    def __init__(
        self, most: int = MOST, make: Callable[[], Graph] = CudaGraph, sights: int = SIGHTS, memory: int | None = None
    ) -> None:  # fmt: skip
        self._most, self._make, self._sights, self._memory = most, make, sights, memory
        self._kept: OrderedDict[Hashable, Captured | None] = OrderedDict()
        self._seen: OrderedDict[Hashable, int] = OrderedDict()
        self._lock = Lock()

    def run(self, name: Hashable, function: Function, tensors: Tensors) -> Tensors:
        """What the function of that name makes of the tensors; by itself where it is not captured, or cannot be."""
        with self._lock, torch.inference_mode(False), torch.no_grad():
            key = (name, stream(), tuple(map(described, tensors)))
            if key not in self._kept:
                if self._sight(key) < self._sights:
                    return function(tensors)
                del self._seen[key]
                self._kept[key] = self._captured(function, tensors)
            self._kept.move_to_end(key)
            self._drop()
            captured = self._kept[key]
            return function(tensors) if captured is None else captured(tensors)

    def _sight(self, key: Hashable) -> int:
        """How often such shapes came, this time included."""
        count = self._seen.pop(key, 0) + 1
        self._seen[key] = count
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return count

    def _captured(self, function: Function, tensors: Tensors) -> Captured | None:
        try:
            return Captured(function, tensors, self._make())
        except RuntimeError as error:
            warnings.warn(f"launches are not gathered: no CUDA graph can be captured here ({error})", stacklevel=2)
            return None

    def forget(self) -> None:
        """Give all memory back; shapes that come again are captured anew."""
        with self._lock:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self._kept.clear()

    def _bytes(self) -> int:
        return sum(each.bytes for each in self._kept.values() if each is not None)

    def _drop(self) -> None:
        """Forget what is too much, when the device has done with it; then shapes have to come twice as often."""
        while len(self._kept) > self._most or (len(self._kept) > 1 and self._bytes() > (self._memory or memory())):
            self._sights = min(2 * self._sights, SELDOM)
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self._kept.popitem(last=False)


KEPT = Graphs()


def memory() -> int:
    """Bytes that graphs may keep of the current device's; without a device as many as there are."""
    if not torch.cuda.is_initialized():
        return sys.maxsize
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory // SHARE


def fit(tensors: Tensors) -> bool:
    """Whether a graph can be captured: on a graphics processor, and not inside another capture."""
    there = all(tensor is None or tensor.is_cuda for tensor in tensors)
    return there and torch.cuda.is_available() and not torch.cuda.is_current_stream_capturing()


def described(tensor: Tensor | None) -> Hashable:
    """What a graph depends on of a tensor: not its strides, since it reads copies of its own."""
    return None if tensor is None else (tensor.shape, tensor.dtype, tensor.device)


def stream() -> int:
    """The stream that waits for the replay: each has graphs, and so memory, of its own."""
    return torch.cuda.current_stream().cuda_stream if torch.cuda.is_initialized() else 0


def copies(tensors: Tensors) -> list[Tensor | None]:
    """The tensors in other memory."""
    return [None if tensor is None else tensor.detach().clone() for tensor in tensors]
