"""musicnn written out once more in NumPy from its paper and its public code, with TensorFlow's names and layouts."""

import numpy as np


def random_checkpoint(size, seed=0, n_hidden=20, n_tags=50):
    """Random tensors by TensorFlow's names, as large as `size` says."""
    draw = np.random.default_rng(seed)
    found = {}

    def add(name, *shape):
        found[name] = (draw.standard_normal(shape) / np.sqrt(max(np.prod(shape[:-1]), 1))).astype(np.float32)

    def layer(kind, number, *shape):
        name = f"{kind}_{number}" if number else kind
        add(f"{name}/kernel", *shape)
        add(f"{name}/bias", shape[-1])

    def norm(number, channels):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        add(f"{name}/beta", channels)
        add(f"{name}/moving_mean", channels)
        found[f"{name}/gamma"] = draw.uniform(-1.5, 1.5, channels).astype(np.float32)
        found[f"{name}/moving_variance"] = draw.uniform(0.2, 2, channels).astype(np.float32)

    norm(0, 1)
    fronts = [(*shape, size.n_timbral) for shape in size.timbral]
    fronts += [(n_frames, 1, size.n_temporal) for n_frames in size.temporal_frames]
    for number, (n_frames, n_mels, channels) in enumerate(fronts):
        layer("conv2d", number, n_frames, n_mels, 1, channels)
        norm(number + 1, channels)
    for number, n_in in enumerate((size.n_front, size.n_mid, size.n_mid), start=len(fronts)):
        layer("conv2d", number, size.mid_frames, n_in, 1, size.n_mid)
        norm(number + 1, size.n_mid)
    last = len(fronts) + 4
    norm(last, 2 * size.dim)
    layer("dense", 0, 2 * size.dim, n_hidden)
    norm(last + 1, n_hidden)
    layer("dense", 1, n_hidden, n_tags)
    return found


class Reference:
    """The network of a checkpoint; frames stand first, channels last, as in TensorFlow."""

    def __init__(self, tensors, size):
        self.tensors = {name: value.astype(np.float64) for name, value in tensors.items()}
        self.size = size
        self.n_front = len(size.timbral) + len(size.temporal_frames)

    def of(self, name, number, kind):
        return self.tensors[f"{name}_{number}/{kind}" if number else f"{name}/{kind}"]

    def norm(self, number, x):
        mean, variance, gamma, beta = (
            self.of("batch_normalization", number, kind) for kind in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def conv(self, number, x):
        """ReLU of a convolution over [frame mel], zeros around the frames; gives [frame mel channel]."""
        kernel = self.of("conv2d", number, "kernel")[:, :, 0]
        n_frames, n_mels = kernel.shape[:2]
        padded = np.pad(x, (((n_frames - 1) // 2, n_frames // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (n_frames, n_mels))
        return np.maximum(np.einsum("tmab,abc->tmc", windows, kernel) + self.of("conv2d", number, "bias"), 0)

    def parts(self, mel):
        """What the original calls front end, cnn1, cnn2 and cnn3, each [frame channel], from [frame mel]."""
        x = self.norm(0, mel)
        front = [self.norm(i + 1, self.conv(i, x)).max(axis=1) for i in range(self.n_front)]
        parts = [np.concatenate(front, axis=1)]
        for number in range(self.n_front, self.n_front + 3):
            found = self.norm(number + 1, self.conv(number, parts[-1])[:, 0])
            parts.append(found + parts[-1] if number > self.n_front else found)
        return parts

    def tags(self, mel):
        """Logits of a patch."""
        features = np.concatenate(self.parts(mel), axis=1)
        pooled = np.stack([features.max(axis=0), features.mean(axis=0)], axis=1).reshape(-1)
        number = self.n_front + 4
        inner = self.norm(number, pooled) @ self.of("dense", 0, "kernel") + self.of("dense", 0, "bias")
        inner = self.norm(number + 1, np.maximum(inner, 0))
        return inner @ self.of("dense", 1, "kernel") + self.of("dense", 1, "bias")
