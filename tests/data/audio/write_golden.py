"""Features by other people's programs, for `test_speech.py` to compare with.

pip install kaldi-native-fbank==1.23.0 python_speech_features==0.6
python -m tests.data.audio.write_golden
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "speech_features.npz"
RATE = 16_000


def signal() -> NDArray[np.float32]:
    """A quarter of a second: two sweeps, a hum, an offset, and a click; no random numbers."""
    time = np.arange(RATE // 4) / RATE
    sweeps = 0.3 * np.sin(2 * np.pi * (200 + 4000 * time) * time) + 0.1 * np.sin(
        2 * np.pi * (6000 - 8000 * time) * time
    )
    found = (0.2 + 0.8 * time * 4) * sweeps + 0.05 * np.sin(2 * np.pi * 50 * time) + 0.02
    found[2000] += 0.4
    return found.astype(np.float32)


def main() -> None:
    """Write the file."""
    deltas: Any = import_module("python_speech_features").delta
    mel = _kaldi("Fbank", lambda options: None)
    first = deltas(mel, 2)
    whole = np.hstack([mel, first, deltas(first, 2)])
    np.savez_compressed(GOLDEN, log_mel=mel, log_mel_deltas=whole.astype(np.float32), mfcc=_kaldi("Mfcc", _cepstra))


def _cepstra(options: Any) -> None:
    options.num_ceps, options.mel_opts.num_bins = 13, 26


def _kaldi(kind: str, change: Any) -> NDArray[np.float32]:
    """Features of `kaldi-native-fbank`, whose samples are on the scale of 16-bit integers."""
    kaldi = import_module("kaldi_native_fbank")
    options = getattr(kaldi, f"{kind}Options")()
    options.frame_opts.dither, options.frame_opts.window_type = 0.0, "hamming"
    options.frame_opts.samp_freq, options.use_energy = RATE, True
    options.mel_opts.num_bins = 40
    change(options)
    computer = getattr(kaldi, f"Online{kind}")(options)
    computer.accept_waveform(RATE, (signal() * 32768).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)]).astype(np.float32)


if __name__ == "__main__":
    main()
