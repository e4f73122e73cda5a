"""Workers of every kind, begun once for the tests of a file."""

from collections.abc import Iterator

import pytest

from carousel.training.workers import Here, Processes, RayWorkers, Workers

ray_ready = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Processes(2) as workers:
        yield workers


@pytest.fixture(scope="module")
def cluster() -> Iterator[Workers]:
    pytest.importorskip("ray", reason="for Ray, pip install 'carousel-lstm[ray]'", exc_type=ImportError)
    with RayWorkers() as workers:
        yield workers


@pytest.fixture(params=["here", "processes", pytest.param("ray", marks=ray_ready)])
def workers(request: pytest.FixtureRequest) -> Workers:
    name = {"processes": "two", "ray": "cluster"}.get(request.param)
    return Here() if name is None else request.getfixturevalue(name)
