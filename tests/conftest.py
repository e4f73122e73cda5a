"""What every test stands on: fixed seeds, one thread, poisoned memory on request, a browser."""

import os
import random
import shutil
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch

from tests.browser import Browser

hypothesis.settings.register_profile("carousel", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("carousel")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def reproducible() -> None:
    """Every test starts from the same random state, whichever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def poisoned_memory() -> Iterator[None]:
    """Memory that nobody wrote holds NaN (or the largest integer), inside torch's own operators too."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A headless browser: `.screenshot(html, png, width, height, dark=False)`, `.dump_dom(html)`, `.look(html)`."""
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if found is None and os.environ.get("CI"):
        pytest.fail("no Chromium here, and CI must look at the pages; .ci/run installs it")
    if found is None:
        pytest.skip("no Chromium on this machine; install the package chromium to look at the pages")
    return Browser(found, lambda: tmp_path_factory.mktemp("profile"))
