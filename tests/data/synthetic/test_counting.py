"""Counting languages: what may come next, by an oracle that knows nothing but all strings."""

from itertools import product

import pytest
import torch

from carousel.data.synthetic.counting import LANGUAGES, CountingLanguage, accepted


def spelled(language: CountingLanguage, numbers: tuple[int, ...]) -> str:
    return "".join(letter * numbers[count] for letter, count in zip(language.letters, language.counts, strict=True))


@pytest.mark.parametrize("name", LANGUAGES)
def test_legal_is_what_comes_next_in_some_string_of_the_language(name: str) -> None:
    language, most = LANGUAGES[name], 5
    words = [f"{spelled(language, numbers)}$" for numbers in product(range(1, most + 1), repeat=language.free)]
    numbers = language.all(most - 1)
    strings = language.strings(numbers)
    assert strings.legal is not None
    at = 0
    for row in numbers.tolist():
        word = spelled(language, tuple(row))
        for place in range(len(word) + 1):
            after = {other[place] for other in words if other.startswith(word[:place])}
            symbols = {0 if letter == "$" else 1 + language.letters.index(letter) for letter in after}
            assert set(torch.nonzero(strings.legal[at + place, 0])[:, 0].tolist()) == symbols
            read = 0 if place == 0 else 1 + language.letters.index(word[place - 1])
            assert (int(strings.inputs[at + place]), bool(strings.begins[at + place])) == (read, place == 0)
        at += len(word) + 1
        assert strings.ends[at - 1]
    assert at == len(strings.inputs)


def test_a_string_is_accepted_if_every_step_is_right() -> None:
    language = LANGUAGES["anbn"]
    strings = language.strings(torch.tensor([[1], [2], [3]]))
    outputs = (2 * strings.targets - 1).repeat(1, 2, 1)
    outputs[4, 1, 0] = 0.5
    assert accepted(strings, outputs).T.tolist() == [[True] * 3, [True, False, True]]


def test_names_and_sizes() -> None:
    assert [language.name for language in LANGUAGES.values()] == ["a^n b^n", "a^n b^m B^m A^n", "a^n b^n c^n"]
    assert [language.symbols for language in LANGUAGES.values()] == [3, 5, 4]
    assert LANGUAGES["anbmbman"].all(2).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="letters are 'aa' and counts"):
        CountingLanguage("aa", (0, 0))
    with pytest.raises(ValueError, match="they are numbered from 0 on, without a gap"):
        CountingLanguage("ab", (0, 2))
    with pytest.raises(ValueError, match=r"numbers have shape \(1, 2\); they are \(strings, 1\), from 1 on"):
        LANGUAGES["anbn"].strings(torch.ones(1, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="from 1 on"):
        LANGUAGES["anbn"].strings(torch.zeros(1, 1, dtype=torch.int64))
