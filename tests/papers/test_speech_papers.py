"""What the papers on speech bring along: time warping, the model of keywords and filler, drawn dialogues, spellings."""

from itertools import product

import numpy as np
import pytest

from carousel.data.audio import SpeechFrontend
from papers.fernandez2007.russian import _rows, _spelling
from papers.fernandez2007.talk import FILLERS, KEYWORDS, NUMBERS, OPENERS, PATTERNS, plain, sentence
from papers.graves2004.voices import LOUD, Digits
from papers.graves2004.warping import costs, nearest
from papers.graves2013.speech import Part, material
from papers.graves2013.together import mean

Series = np.ndarray


def cheapest(one: Series, other: Series) -> float:
    """The cost of the best path, cell by cell."""
    table = np.full((len(one) + 1, len(other) + 1), np.inf)
    table[0, 0] = 0.0
    for i, j in product(range(len(one)), range(len(other))):
        near = float(np.linalg.norm(one[i] - other[j]))
        table[i + 1, j + 1] = min(table[i, j] + 2 * near, table[i, j + 1] + near, table[i + 1, j] + near)
    return float(table[-1, -1]) / (len(one) + len(other))


def test_time_warping_finds_the_cheapest_path() -> None:
    rng = np.random.default_rng(0)
    templates = [rng.normal(size=(length, 3)) for length in (4, 9, 1, 6)]
    asked = rng.normal(size=(7, 3))
    np.testing.assert_allclose(costs(templates, asked), [cheapest(own, asked) for own in templates], rtol=1e-12)
    slower = np.repeat(templates[1], 3, axis=0)
    assert nearest(templates, slower) == 1 and costs(templates, slower)[1] == 0


def test_keywords_and_filler_share_phones() -> None:
    pytest.importorskip("hmmlearn")
    from papers.fernandez2007.hmm import KeywordFiller

    rng, phones = np.random.default_rng(0), {"a": 0, "b": 1, "c": 2, "_": 3}
    frames, labels, said = [], [], []
    for _ in range(30):
        words = rng.choice(["ab", "ca", "cb", "ba"], size=4)
        names = np.array(list("_" + "_".join("".join(own * 5 for own in word) for word in words) + "_"))
        frames.append(
            (3 * np.eye(4)[[phones[own] for own in names]] + rng.normal(size=(len(names), 4))).astype(np.float32)
        )
        labels.append(names)
        said.append([str(word) for word in words if word in ("ab", "ca")])
    model = KeywordFiller({"ab": ["a", "b"], "ca": ["c", "x", "a"]}, states=1, mixtures=1, seed=0).fit(frames, labels)
    network, source, word = model._network(0.01)
    np.testing.assert_allclose(network.transmat_.sum(1), 1)
    assert len(source) == len(word) == 4 + 2 + 2 and network.startprob_.sum() == pytest.approx(1)
    found = model.spot(frames, 0.4)
    assert np.mean([own == truth for own, truth in zip(found, said, strict=True)]) > 0.7
    assert sum(map(len, model.spot(frames, 1e-9))) < sum(map(len, found))


def test_dialogues_hold_keywords_and_other_words() -> None:
    rng = np.random.default_rng(0)
    drawn = [sentence(rng) for _ in range(300)]
    words = [word for text in drawn for word in text.split()]
    assert set(KEYWORDS) <= set(words) and not any("{" in word for word in words)
    share = np.mean([word in KEYWORDS for word in words])
    assert 0.1 < share < 0.3, "most words are none"
    others = {word for text in (*OPENERS, *FILLERS, *NUMBERS, *PATTERNS) for word in text.split()}
    assert not others & set(KEYWORDS)


def test_phones_are_plain() -> None:
    assert plain(("_", "ˈaɪ", "n", "pau")) == ["aɪ", "n"]
    assert plain(("_", "ˌa", "pau"), pause=True) == ["_", "a", "_"]


def test_a_word_is_spelt_by_the_phones_that_tell_it_from_others() -> None:
    from collections import Counter

    phones = ["x t a k x", "t a k y", "t a x k", "a k t", "z t a k"]
    said = [{"tak"}, {"tak"}, {"ta"}, set[str](), {"tak"}]
    rows = [_rows(own.split()) for own in phones]
    total = Counter(row for one in rows for row in one)
    assert _spelling("tak", said, rows, total) == ("t", "a", "k")


def test_digits_are_trimmed_to_what_is_loud() -> None:
    energy = np.array([0.0, 3.0, 9.0, 2.0, 10.0, 4.5, 3.9, 0.0])
    quiet = Digits([np.stack([energy, np.arange(8.0)], axis=1)], [7]).trimmed()
    assert quiet.features[0][:, 1].tolist() == [2, 3, 4, 5] and quiet.digits == [7] and LOUD == 6
    assert not np.allclose(quiet.jittered(0.5, 0).features[0], quiet.features[0])


def test_a_part_that_begins_later_holds_the_same_frames() -> None:
    parts = material(True, SpeechFrontend(deltas=1, stack=3), ((1, 1), (10, 11)))
    assert len(parts["training"].phones) == 2 * len(parts["test"].phones) and not parts["training"].later
    whole, (second, third) = parts["test"].features, parts["test"].later
    for own, one, two in zip(whole, second, third, strict=True):
        count, size = len(two) - 2, own.shape[1] // 3
        np.testing.assert_allclose(one[1:count, :size], own[1:count, size : 2 * size], atol=1e-4)
        np.testing.assert_allclose(two[1:count, :size], own[1:count, 2 * size :], atol=1e-4)


def test_nets_together_say_the_geometric_mean() -> None:
    class Net:
        def log_probabilities(self, frames: list[Series]) -> list[Series]:
            return [np.log(own) for own in frames]

    said = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    later = np.array([[0.1, 0.9], [0.5, 0.5]])
    (found,) = mean([Net(), Net()], Part(features=[said], later=[[later]]))  # type: ignore[list-item]
    np.testing.assert_allclose(np.exp(found), [[0.5, 0.5], [0.5, 0.5]])
    (alone,) = mean([Net()], Part(features=[said]))  # type: ignore[list-item]
    np.testing.assert_allclose(np.exp(alone), said)
