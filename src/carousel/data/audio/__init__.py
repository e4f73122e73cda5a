"""Sound: reading it, and turning it into features."""

from carousel.data.audio.augmentation import AddNoise, JitterFeatures, SpecAugment
from carousel.data.audio.recording import AudioWarning, Recording, as_recording, read_audio, resample
from carousel.data.audio.segments import Segments, frame_labels
from carousel.data.audio.speech import SpeechFrontend
from carousel.data.audio.streaming import FeatureStream

__all__ = [
    "AddNoise",
    "AudioWarning",
    "FeatureStream",
    "JitterFeatures",
    "Recording",
    "Segments",
    "SpecAugment",
    "SpeechFrontend",
    "as_recording",
    "frame_labels",
    "read_audio",
    "resample",
]
