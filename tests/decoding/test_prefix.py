"""Prefix beam search, held to a search of all paths and to plain Python."""

import itertools

import numpy as np
import pytest
import torch

from carousel.data import Alphabet
from carousel.decoding import (
    DecodingError,
    NGram,
    PrefixBeam,
    TokenPassing,
    TransducerBeam,
    TransducerGreedy,
    extension,
    prefix,
)
from tests.decoding.oracle import (
    ABC,
    BOTH,
    LAST,
    SPACED,
    bests,
    compiled,
    log_probs,
    model,
    needs_extension,
    sums,
    word_model,
)

EVERYTHING = 100_000
"""A beam that nothing is dropped from."""


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize("alphabet", [ABC, LAST], ids=["first", "last"])
def test_sums_are_those_of_all_paths(alphabet: Alphabet, is_compiled: bool) -> None:
    frames = log_probs(6, len(alphabet))
    expected = sorted(sums(frames, alphabet).items(), key=lambda pair: -pair[1])[:8]
    with compiled(is_compiled):
        (found,) = PrefixBeam(alphabet, beam=EVERYTHING).n_best(frames[:, None], count=8)
    assert [each.labels for each in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([each.log_probability for each in found], [cost for _, cost in expected], rtol=1e-12)
    assert [each.score for each in found] == [each.log_probability for each in found]


@pytest.mark.parametrize("is_compiled", BOTH)
def test_symbols_lie_where_the_best_path_has_them(is_compiled: bool) -> None:
    frames = log_probs(6, 4, seed=3)
    paths = bests(frames, ABC)
    with compiled(is_compiled):
        (found,) = PrefixBeam(ABC, beam=EVERYTHING).n_best(frames, count=20)
    for each in found:
        _, path = paths[each.labels]
        runs = [list(run) for label, run in itertools.groupby(range(6), key=path.__getitem__) if label]
        assert [(symbol.start, symbol.end) for symbol in each.symbols] == [(run[0], run[-1] + 1) for run in runs]
        peaks = [max(frames[t, path[t]] for t in run) for run in runs]
        np.testing.assert_allclose([symbol.confidence for symbol in each.symbols], np.exp(peaks))
        assert "".join(symbol.symbol for symbol in each.symbols) == each.text


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_language_model_of_symbols_adds_its_cost(order: int, is_compiled: bool) -> None:
    frames, language = log_probs(5, 4, seed=1), model(order)

    def score(labels: tuple[int, ...], cost: float) -> float:
        return cost + 0.7 * language.sentence(ABC.text(labels)) + 0.3 * len(labels)

    expected = max((score(labels, cost), labels) for labels, cost in sums(frames, ABC).items())
    with compiled(is_compiled):
        (found,) = PrefixBeam(ABC, EVERYTHING, language, weight=0.7, bonus=0.3)(frames)
    assert found.labels == expected[1]
    assert found.score == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize("words", ["any", "known"])
def test_words_are_judged_where_they_end(words: str, is_compiled: bool) -> None:
    frames, language = log_probs(7, 4, seed=5), word_model()
    known = ["a", "ab", "b"]
    scored = {}
    for labels, cost in sums(frames, SPACED).items():
        text = SPACED.text(labels)
        if text.split(" ") != text.split() and text or words == "known" and set(text.split()) - set(known):
            continue
        scored[text] = cost + 0.5 * language.sentence(text.split()) + 0.2 * len(text.split())
    expected = sorted(scored.items(), key=lambda pair: -pair[1])[:5]
    with compiled(is_compiled):
        decoder = PrefixBeam(SPACED, EVERYTHING, language, 0.5, 0.2, words=words, dictionary=known)
        (found,) = decoder.n_best(frames, count=5)
    assert [each.text for each in found] == [text for text, _ in expected]
    np.testing.assert_allclose([each.score for each in found], [cost for _, cost in expected], rtol=1e-10)
    assert [" ".join(word.symbol for word in each.words) for each in found] == [each.text for each in found]


@needs_extension
@pytest.mark.parametrize("beam", [1, 3, 10])
@pytest.mark.parametrize(
    "options", [{}, {"language_model": model(), "weight": 0.5, "bonus": 0.4}], ids=["alone", "model"]
)
def test_a_narrow_beam_drops_the_same_in_both(options: dict[str, object], beam: int) -> None:
    for seed in range(20):
        frames = log_probs(12, 4, seed=seed)
        with compiled(False):
            (expected,) = PrefixBeam(ABC, beam, **options).n_best(frames)  # type: ignore[arg-type]
        (found,) = PrefixBeam(ABC, beam, **options).n_best(frames)  # type: ignore[arg-type]
        assert [each.labels for each in found] == [each.labels for each in expected]
        np.testing.assert_allclose([each.score for each in found], [each.score for each in expected], rtol=1e-10)
        for one, other in zip(found, expected, strict=True):
            assert one.symbols == other.symbols


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize("pieces", [[1] * 12, [5, 0, 7], [12]], ids=str)
def test_a_stream_ends_as_the_whole_does(pieces: list[int], is_compiled: bool) -> None:
    frames = log_probs(12, 4, seed=2)
    with compiled(is_compiled):
        decoder = PrefixBeam(ABC, 8, model(), weight=0.4)
        (whole,) = decoder.n_best(frames, count=5)
        stream, partials, at = decoder.stream(), [], 0
        for size in pieces:
            partials.append(stream.push(frames[at : at + size]))
            at += size
        assert stream.finish(5) == whole
    for earlier, later in itertools.pairwise(partials):
        assert later.hypothesis.labels[: earlier.stable] == earlier.hypothesis.labels[: earlier.stable]


@needs_extension
@pytest.mark.parametrize("language", [None, model()], ids=["alone", "model"])
def test_what_no_longer_matters_is_forgotten_and_nothing_changes(
    language: NGram | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = log_probs(300, 4, seed=4)
    decoder = PrefixBeam(ABC, 16, language)
    (expected,) = decoder.n_best(frames, count=16)
    monkeypatch.setattr(prefix, "REMEMBERED", 20)
    stream = decoder.stream()
    partials = [stream.push(frames[at : at + 30]) for at in range(0, 300, 30)]
    assert stream.finish(16) == expected
    assert 0 < partials[-1].stable <= len(expected[0].labels)


@pytest.mark.parametrize("is_compiled", BOTH)
def test_ragged_batches_are_read_one_by_one(is_compiled: bool) -> None:
    frames = np.stack([log_probs(6, 4, seed=seed) for seed in range(3)], axis=1)
    with compiled(is_compiled):
        decoder = PrefixBeam(ABC, 20)
        found = decoder(torch.tensor(frames), torch.tensor([6, 0, 3]))
        alone = [decoder(frames[:size, at])[0] for at, size in enumerate((6, 0, 3))]
    assert found == alone
    assert found[1].text == "" and found[1].log_probability == 0


@pytest.mark.parametrize("is_compiled", BOTH)
def test_what_cannot_be_said_is_nothing(is_compiled: bool) -> None:
    """No word of the dictionary fits into one frame."""
    frames = np.log(np.array([[1e-30, 0.5, 0.25, 0.25]]))
    frames[0, 0] = -np.inf
    with compiled(is_compiled):
        (found,) = PrefixBeam(SPACED, dictionary=["ab"], words="known")(frames)
    assert found.text == "" and found.score == -np.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": 0}, "beam is 0"),
        ({"weight": -1.0}, "weight is -1.0"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"words": "all"}, "words is 'all'"),
        ({"dictionary": ["a"]}, "a dictionary is of words"),
        ({"words": "known"}, "words need a dictionary"),
        ({"words": "known", "dictionary": ["a"]}, "the symbol ' '"),
        ({"words": "known", "dictionary": []}, "empty"),
        ({"words": "known", "dictionary": ["ax"]}, "'ax'"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        PrefixBeam(ABC, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "lengths", "message"),
    [
        (np.zeros((3, 2, 5)), None, r"shape \(3, 2, 5\)"),
        (np.full((3, 1, 4), np.nan), None, "sample 0 has nan"),
        (np.full((3, 1, 4), 0.25), None, "sample 0 has 0.25"),
        (np.full((3, 1, 4), -1.0), [4], "lengths are"),
        (np.full((3, 1, 4), -1.0), [1, 1], "lengths are"),
    ],
)
def test_no_log_probabilities(frames: np.ndarray, lengths: list[int] | None, message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        PrefixBeam(ABC)(frames, lengths)


DECODERS = {
    "prefix": lambda **options: PrefixBeam(ABC, **options),
    "beam": lambda **options: TransducerBeam(None, ABC, **options),  # type: ignore[arg-type]
    "greedy": lambda **options: TransducerGreedy(None, ABC, **options),  # type: ignore[arg-type]
    "words": lambda **options: TokenPassing(ABC, ["a"], **options),
}


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("prefix", "beam"), {"beam": "10"}, "beam is '10'; it is a whole number of "),
        (("prefix", "beam"), {"beam": 0}, "beam is 0; it is a whole number of "),
        (("prefix", "beam"), {"beam": float("nan")}, "beam is nan"),
        (("prefix", "beam", "words"), {"weight": -1}, "weight is -1 and bonus 0.0; give finite numbers, a weight of 0"),
        (("prefix", "beam", "words"), {"bonus": float("inf")}, "weight is 1.0 and bonus inf"),
        (("prefix", "beam", "words"), {"weight": "1"}, "weight is '1'"),
        (("beam", "greedy"), {"most_per_frame": 0}, "most_per_frame is 0; it is a whole number of labels, 1 or more"),
        (("beam", "greedy"), {"most_per_frame": -5}, "most_per_frame is -5"),
    ],
)
def test_twins_refuse_the_same(names: tuple[str, ...], options: dict[str, object], message: str) -> None:
    for name in names:
        with pytest.raises(DecodingError, match=message):
            DECODERS[name](**options)


@needs_extension
def test_the_extension_refuses_what_would_leave_its_memory() -> None:
    module = extension.module
    with pytest.raises(ValueError, match="an arc leads to a state"):
        module.Automaton([0, 1], [0], [0.0], [7], [0.0], [0], -1.0)
    with pytest.raises(ValueError, match="one word for each symbol"):
        module.settings((4, 0, 10), (1.0, 0.0), None, None, [], (-1, -1, -1, -1), False)
    settings = module.settings((4, 0, 10), (1.0, 0.0), None, None, [-1] * 4, (-1, -1, -1, -1), False)
    with pytest.raises(ValueError, match="one number for each symbol"):
        module.push([module.PrefixSearch(settings, 9)], [np.zeros((2, 3))], 1)
    with pytest.raises(ValueError, match="no symbol"):
        module.align(np.zeros((2, 3)), [5], 0)
