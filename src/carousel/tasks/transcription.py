"""Texts out of sequences that nobody has aligned with them: speech, handwriting, any features."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from carousel.data import (
    IGNORED_LABEL,
    Alphabet,
    DataError,
    Frontend,
    SequenceBatches,
    Sequences,
    SpeakerNormalization,
    as_sequences,
    check_feasible,
)
from carousel.decoding import BestPathStream, Hypothesis, NGram, PrefixBeam, best_path
from carousel.metrics import ErrorRate, error_rate, word_error_rate
from carousel.tasks.heads import HEADS, TransducerNetwork, transducer_decoder, transducer_options
from carousel.tasks.network import as_dtype
from carousel.tasks.parameters import parameter
from carousel.tasks.pretraining import check_features, copy_head, copy_layers, learn_next_label
from carousel.tasks.scaler import Scaler
from carousel.tasks.speakers import NORMALIZE, UNSEEN, by_sample, by_speaker, learned, level_in_stream, with_speakers
from carousel.tasks.spelling import alphabet_of, labels_of, normalized, symbols_of, texts_of
from carousel.tasks.streaming import TranscriptionStream, check_streams
from carousel.tasks.supervised import PREDICTION_BATCH, SupervisedEstimator, check_length
from carousel.tasks.transcripts import CTCNetwork, Transcription, features_of, frontend_named, transcription

DECODERS = ("best_path", "prefix_beam")

Reader = Callable[[torch.Tensor, int], list[Hypothesis]]
"""The best readings, so many at most but one at least, of what a network says at each frame (time, features)."""


@dataclass(kw_only=True, eq=False, repr=False)
class Transcriber(SupervisedEstimator):
    """Write down what sequences say, with an LSTM and connectionist temporal classification, in scikit-learn's manner.

    With head="transducer" a second LSTM reads the labels so far (Graves 2012; Graves et al. 2013).

    X are feature sequences, a list of arrays (time, features); or, with a front end, signals as it takes them, for
    "speech" also paths of sound files. y are texts, or lists of symbols, such as phonemes. Predictions are texts, whose
    symbols are divided by the alphabet's separator (" " where symbols of y were longer than a character).

    Source: Graves et al. 2006; Graves 2008; Graves et al. 2013.
    """

    frontend: Frontend | str | None = parameter(
        None, "what makes features of signals: speech, ink, or a Frontend; None: X are features"
    )
    frontend_options: dict[str, Any] | None = parameter(
        None, "further keywords of a front end by name, such as rate or bands"
    )
    alphabet: Alphabet | str | None = parameter(
        None, "what can be written: an Alphabet, or a text of all its characters; None: what y holds"
    )
    head: str = parameter("ctc", "what makes labels of the LSTM's outputs", choices=HEADS)
    head_options: dict[str, Any] | None = parameter(
        None, "further keywords of a transducer: hidden, layers, joint, prediction_epochs"
    )
    pretrained: str | None = parameter(
        None,
        "the directory of a run of another transcriber, whose LSTM this one begins with, and whose head if it is alike",
    )
    decoder: str = parameter("best_path", "how outputs become text", choices=DECODERS)
    beam: int = parameter(100, "label sequences that prefix_beam holds", minimum=1)
    language_model: NGram | str | None = parameter(
        None, "of symbols, for prefix_beam: an NGram, or the path of an ARPA file, which is read when it decodes"
    )
    decoder_options: dict[str, Any] | None = parameter(
        None, "further keywords of carousel.decoding.PrefixBeam, such as weight, bonus, words, dictionary"
    )
    normalize: str = parameter(
        "all", "over whom features get mean 0 and deviation 1: all, each speaker, each sample", choices=NORMALIZE
    )
    unseen_speaker: str = parameter(
        "own", "what scales a speaker whom training did not hear: own recordings, or all speakers", choices=UNSEEN
    )
    buckets: int | None = parameter(
        None, "batches that are drawn together and sorted by length, so that less is padded", minimum=1
    )

    _learned: ClassVar[dict[str, Any]] = {
        **SupervisedEstimator._learned,
        "alphabet_": Alphabet,
        "speakers_": SpeakerNormalization | None,
    }
    _refused: ClassVar[dict[str, str]] = {
        "tbptt": "cuts sequences into pieces, but no piece knows which part of the text is its own",
        "dekf": "needs wanted outputs at each step, but nobody has aligned the text with the steps",
        "evolino": "solves the last layer for wanted outputs at each step, but nobody has aligned the text with them",
    }

    def predict(self, X: Any) -> list[str]:
        """The text of each sample."""
        return [found[0].text for found in self._read_off(X, 1)]

    def predict_n_best(self, X: Any, count: int = 10) -> list[list[Hypothesis]]:
        """The best readings of each sample, `count` at most, the best first.

        Raises ValueError for decoder="best_path", which knows one.
        """
        if self.decoder != "prefix_beam":
            raise ValueError(f"decoder={self.decoder!r} has one reading; use set_params(decoder='prefix_beam')")
        return list(self._read_off(X, count))

    def transcribe(self, X: Any) -> list[Transcription]:
        """The text of each sample with the place and the confidence of every symbol.

        Places are in seconds where the front end's frames are evenly spaced, else in frames.
        """
        frontend = self._frontend()
        return [transcription(found[0], frontend) for found in self._read_off(X, 1)]

    def stream(self, speaker: str | None = None) -> TranscriptionStream:
        """A reader of one recording that comes piece by piece, and of which it says at any time what it holds.

        Without a front end pieces are frames (time, features), else sound at its rate.

        speaker: who speaks, where features are normalised by speaker; None for nobody that is known.

        Raises ValueError for a transcriber that must see the whole: one that reads in both directions, or scales each
        recording by itself.
        """
        check_is_fitted(self)
        frontend = check_streams(self.network_, self.network_.lstm, self._frontend())
        level = level_in_stream(self.normalize, self._speakers(), self.unseen_speaker, speaker)
        apply = (lambda frames: frames) if level is None else SpeakerNormalization(level).apply
        return TranscriptionStream(
            *self._inferring(),
            frontend,
            lambda frames: self.input_scaler_.apply(apply(frames)),
            self._decoder_stream(),
            self.alphabet_.text,
        )

    def features(self, X: Any, speakers: Sequence[str | None] | None = None) -> Sequences:
        """The features that the front end makes of signals, which all other methods take in place of them.

        speakers: who speaks in each, a name or None; without it X need a front end. Needs no fitting.

        Raises ValueError where there is nothing to do, DataError that lists the signals that have no features.
        """
        frontend = self._frontend()
        if frontend is None and speakers is None:
            raise ValueError("there is no front end: X are features already; name one by frontend=")
        return with_speakers(as_sequences(features_of(X, frontend), dtype=np.float64), speakers)

    def add_speaker(self, name: str, X: Any) -> Self:
        """Learn how a speaker more, or anew, sounds from recordings of theirs; what they say need not be known.

        Raises ValueError unless features are normalised by speaker.
        """
        check_is_fitted(self)
        known = self._speakers()
        if known is None:
            raise ValueError(f"normalize={self.normalize!r} knows no speakers; fit with normalize='speaker'")
        self.speakers_ = known.with_speaker(name, super()._read(features_of(X, self._frontend())).values)
        return self

    def log_probabilities(self, X: Any) -> list[NDArray[np.float64]]:
        """What the network says at each frame: a list of (time, labels), natural logarithms, for decoders of your
        own.

        Raises ValueError for a transducer, whose labels depend on those before.
        """
        if self.head == "transducer":
            raise ValueError(
                "head='transducer' has no probability of a frame alone; decode it by predict or transcribe"
            )
        return [own.numpy() for own in self._log_probs(self._read(X))]

    def trace(self, X: Any) -> list[list[dict[str, NDArray[np.float64]]]]:
        """What happens inside the network: of each sample, for each layer and direction, the learned gates, "cell" and
        "hidden", (time, units) each, in the order of time."""
        scaled = self._scaled(self._read(X), np.float64).values
        network: Any = as_dtype(self.network_, torch.float64)
        with torch.inference_mode():
            inside = [network.lstm.trace(torch.from_numpy(own)[:, None].to(self.device)) for own in scaled]
        return [[{name: own[:, 0].cpu().numpy() for name, own in layer.items()} for layer in own] for own in inside]

    def score(self, X: Any, y: Any) -> float:
        """One minus the character error rate: 1 is perfect, and it can be negative."""
        return 1 - self.evaluate(X, y)["cer"]

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """The rates of `error_rates`, and "exact": the share of samples without an error."""
        check_is_fitted(self)
        return self.compare(y, self.predict(X))

    def compare(self, y: Any, found: list[str]) -> dict[str, float]:
        """The figures of `evaluate` for texts that were found in another way."""
        check_is_fitted(self)
        truths = self._texts(y)
        check_length(truths, len(found))
        rates = {name: own.rate for name, own in self._rates(truths, found).items()}
        right = [normalized(text, self.alphabet_) == own for text, own in zip(truths, found, strict=True)]
        return {**rates, "exact": float(np.mean(right))}

    def error_rates(self, X: Any, y: Any) -> dict[str, ErrorRate]:
        """The error rates with their confidence intervals.

        "cer" counts characters, or symbols where the alphabet has a separator; "wer" counts words, where the alphabet
        has a space. Truths are normalised as the alphabet does; what it does not have counts as an error.
        """
        check_is_fitted(self)
        truths, found = self._texts(y), self.predict(X)
        check_length(truths, len(found))
        return self._rates(truths, found)

    def _texts(self, y: Any) -> list[Any]:
        """y as texts and lists of symbols."""
        return texts_of(y)

    def _alphabet(self, texts: list[Any]) -> Alphabet:
        """What can be written, from the parameters and the texts to learn."""
        return alphabet_of(self.alphabet, texts)

    def _rates(self, truths: list[Any], found: list[str]) -> dict[str, ErrorRate]:
        alphabet = self.alphabet_
        true = [normalized(text, alphabet) for text in truths]
        rates = {"cer": error_rate(*([symbols_of(text, alphabet) for text in texts] for texts in (true, found)))}
        if alphabet.separator is None and " " in alphabet.symbols:
            rates["wer"] = word_error_rate(true, found)
        return rates

    def _read_off(self, X: Any, count: int) -> Iterator[list[Hypothesis]]:
        """The readings of each sample, one at least; the decoder is checked before anything is computed."""
        sequences = self._read(X)
        read = self._reader(self.network_)
        for frames in self._log_probs(sequences):
            yield read(frames, count)

    def _reader(self, network: Any) -> Reader:
        """What reads off a network's outputs; None checks the options alone."""
        if self.head == "transducer":
            decoder = transducer_decoder(network, self.alphabet_, self._search_options())
            return lambda frames, count: decoder.n_best(frames.unsqueeze(1), None, count)[0]
        beam = self._beam()
        if beam is None:
            return lambda frames, count: best_path(frames.numpy(), None, self.alphabet_)
        return lambda frames, count: _readings(beam, frames.numpy(), count)

    def _decoder_stream(self) -> Any:
        """The decoder, for one sequence that comes piece by piece."""
        if self.head == "transducer":
            return transducer_decoder(self.network_, self.alphabet_, self._search_options()).stream()
        beam = self._beam()
        return BestPathStream(self.alphabet_) if beam is None else beam.stream()

    def _beam(self) -> PrefixBeam | None:
        """The search of a network with CTC; None for the best path."""
        options = self._search_options()
        return None if options is None else PrefixBeam(self.alphabet_, **options)

    def _search_options(self) -> dict[str, Any] | None:
        """The keywords of the search; None for the best path. Raises ValueError where options contradict each other."""
        if self.decoder == "best_path":
            if self.language_model is not None or self.decoder_options:
                raise ValueError(
                    "decoder='best_path' hears no language model and takes no decoder_options; use 'prefix_beam'"
                )
            return None
        given = self.language_model
        model = NGram.read(given) if isinstance(given, str) else given
        return {"language_model": model, "beam": self.beam, **(self.decoder_options or {})}

    def _log_probs(self, sequences: Sequences) -> Iterator[torch.Tensor]:
        """Of each sample (time, labels), some samples at a time, so that memory does not grow with their number."""
        for start in range(0, len(sequences), PREDICTION_BATCH):
            chosen = sequences.take(range(start, min(start + PREDICTION_BATCH, len(sequences))))
            padded = [row for output in self._outputs(chosen) for row in output.double().unbind(1)]
            for own, length in zip(padded, chosen.lengths, strict=True):
                yield own[:length]

    def _frontend(self) -> Frontend | None:
        return frontend_named(self.frontend, self.frontend_options)

    def _begin(self) -> int:
        seed = super()._begin()
        transducer_options(self.head, self.head_options)
        return seed

    def _scaler(self, kept: Sequences) -> Scaler:
        if self.pretrained is None:
            return super()._scaler(kept)
        learned = Transcriber.load(self.pretrained)
        check_features(self.pretrained, learned, self)
        self._begins_with = learned
        return learned.input_scaler_

    def _fit_target(self, target: Any, kept: NDArray[np.int64]) -> Any:
        self._to_predict = target[kept]
        return target

    def _new_network(self, seed: int) -> Any:
        network, texts = super()._new_network(seed), vars(self).pop("_to_predict", None)
        if self.pretrained is not None:
            self._begin_with(network, vars(self).pop("_begins_with"))
        if epochs := transducer_options(self.head, self.head_options).prediction_epochs:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                learn_next_label(network.head.prediction, texts, epochs, self.batch_size)
        return network

    def _begin_with(self, network: Any, learned: "Transcriber") -> None:
        """Take the layers of another run, and its head where it writes with the same alphabet."""
        copy_layers(network.lstm, learned.network_.lstm, str(self.pretrained))
        if learned.alphabet_ == self.alphabet_:
            copy_head(network.head, learned.network_.head)

    def _read_training(self, X: Any) -> Sequences:
        return super()._read_training(features_of(X, self._frontend()))

    def _read(self, X: Any) -> Sequences:
        check_is_fitted(self)
        return self._normalized(super()._read(features_of(X, self._frontend())))

    def _learn_scale(self, sequences: Sequences, kept: NDArray[np.int64]) -> Sequences:
        if self.normalize == "speaker":
            self.speakers_ = learned(sequences.take(kept))
        return super()._learn_scale(self._normalized(sequences), kept)

    def _normalized(self, sequences: Sequences) -> Sequences:
        """Features without what tells speakers or samples apart."""
        if self.normalize == "sample":
            return by_sample(sequences)
        known = self._speakers()
        return sequences if known is None else by_speaker(sequences, known, self.unseen_speaker)

    def _speakers(self) -> SpeakerNormalization | None:
        return getattr(self, "speakers_", None)

    def _read_target(self, y: Any, sequences: Sequences) -> NDArray[np.int64]:
        """The labels of each sample (samples, longest), filled up with IGNORED_LABEL."""
        texts = self._texts(y)
        check_length(texts, len(sequences))
        self.alphabet_ = self._alphabet(texts)
        labels = labels_of(texts, self.alphabet_, sequences.ids)
        check_feasible(labels, sequences.lengths.tolist(), loss=self.head, names=sequences.ids)
        self._reader(None)
        target = np.full((len(labels), max(1, *map(len, labels))), IGNORED_LABEL, dtype=np.int64)
        for row, own in zip(target, labels, strict=True):
            row[: len(own)] = own
        return target

    def _batches(self, scaled: Sequences, target: Any, chosen: NDArray[np.int64], seed: int) -> SequenceBatches:
        batches = super()._batches(scaled, target, chosen, seed)
        batches.buckets = self.buckets
        return batches

    def _network(self) -> CTCNetwork | TransducerNetwork:
        lstm = self._lstm(self.channels_)
        if self.head == "transducer":
            options = transducer_options(self.head, self.head_options)
            return TransducerNetwork(lstm, self.alphabet_, options, cell=self.cell, dropout=self.dropout)
        return CTCNetwork(lstm, len(self.alphabet_), self.alphabet_.blank, dropout=self.dropout)

    def _check_learned(self) -> None:
        super()._check_learned()
        frontend = self._frontend()
        if frontend is not None and frontend.n_features != self.channels_:
            raise DataError(f"the front end makes {frontend.n_features} features, the network reads {self.channels_}")
        known = self._speakers()
        if (known is not None) != (self.normalize == "speaker"):
            raise DataError(f"normalize is {self.normalize!r}, which does not go with what is known of speakers")
        if known is not None and known.everyone.center.shape != (self.channels_,):
            raise DataError(f"speakers are known by {len(known.everyone.center)} features of {self.channels_}")


def _readings(beam: PrefixBeam, log_probs: NDArray[np.float64], count: int) -> list[Hypothesis]:
    """The best readings of one sample; an empty one where none is allowed."""
    return beam.n_best(log_probs, None, count)[0] or beam(log_probs)
