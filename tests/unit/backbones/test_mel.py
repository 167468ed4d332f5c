"""The mel spectrogram against librosa's."""

import librosa
import numpy as np
import pytest
import torch

from sordino.backbones._mel import LogMel, mel_filters


def test_filters_equal_librosas():
    theirs = librosa.filters.mel(sr=24_000, n_fft=2048, n_mels=128, htk=True, norm=None)
    np.testing.assert_allclose(mel_filters(24_000, 2048, 128).numpy().T, theirs, atol=1e-6)


@pytest.mark.parametrize("n_samples", [24_000, 30_123])
def test_decibels_equal_librosas(music, n_samples):
    waveform = music(n_samples, n_clips=1)
    theirs = librosa.feature.melspectrogram(
        y=waveform[0].numpy().astype(np.float64),
        sr=24_000,
        n_fft=2048,
        hop_length=240,
        n_mels=128,
        htk=True,
        norm=None,
        power=2.0,
        pad_mode="reflect",
    )
    theirs = librosa.power_to_db(theirs, ref=1.0, amin=1e-10, top_db=None)
    ours = LogMel()(waveform)[0].numpy().T
    heard = theirs > -99  # the lowest bands hold no bin and are at the floor
    np.testing.assert_allclose(ours[heard], theirs[heard], atol=1e-3)
    np.testing.assert_allclose(ours[~heard], -100, atol=1e-3)


def test_silence_is_the_floor():
    assert torch.equal(LogMel()(torch.zeros(1, 4_800)), torch.full((1, 21, 128), -100.0))


def test_constants_are_real_while_a_network_is_built_on_the_meta_device():
    with torch.device("meta"):
        mel = LogMel()
    assert mel.window.device.type == mel.filters.device.type == "cpu"
