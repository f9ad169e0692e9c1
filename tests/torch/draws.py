"""Every random number of a training run of unnoise, in numpy: Philox4x32-10 and what is made of its words.

With these a run can be repeated draw for draw in another framework (train_parity.py does it in PyTorch). The
counters are those of src/train/order.rs, src/train/init.rs and shaders/train/batch.wgsl.
"""
import numpy as np

TRAIN, INIT, SHUFFLE, TIMESTEP, FLIP = 2, 4, 16, 17, 18


def philox(counter, seed):
    """Four words for each counter [..., 4] (Salmon et al. 2011, 10 rounds)."""
    c0, c1, c2, c3 = (np.asarray(counter[..., i], np.uint64) for i in range(4))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ np.uint64(k0), p1 & low, (p0 >> shift) ^ c3 ^ np.uint64(k1), p0 & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1)


def counters(*parts):
    return np.stack(np.broadcast_arrays(*(np.asarray(p, np.uint64) for p in parts)), -1)


def normals(words):
    """Box-Muller on the words (0, 1) and (2, 3), in f64."""
    w = np.maximum(words.astype(np.float64), 1.0)
    radius = np.sqrt(-2.0 * np.log(w[..., 0::2] / 2.0**32))
    angle = words[..., 1::2].astype(np.float64) / 2.0**32 * 2.0 * np.pi
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    return pairs.reshape(*words.shape)


def below(limit, block):
    """Uniform on 0..limit (Lemire 2019, algorithm 5); `block(attempt)` gives four words."""
    rejected = (2**32 - limit) % limit
    for attempt in range(1000):
        for word in block(attempt):
            product = int(word) * limit
            if product & 0xFFFFFFFF >= rejected:
                return product >> 32
    raise RuntimeError("the generator is broken")


def permutation(seed, epoch, n):
    """An epoch's order: Fisher-Yates."""
    order = np.arange(n)
    first = philox(counters(0, np.arange(n), epoch, SHUFFLE), seed)
    for i in range(n - 1, 0, -1):
        again = lambda attempt: first[i] if attempt == 0 else philox(counters(attempt, i, epoch, SHUFFLE), seed)
        j = below(i + 1, again)
        order[i], order[j] = order[j], order[i]
    return order


class Order:
    """Pictures of each step: epoch after epoch, cut into steps."""

    def __init__(self, seed, items, batch):
        self.seed, self.items, self.batch, self.epochs = seed, items, batch, {}

    def step(self, step):
        picked = []
        for slot in range(self.batch):
            epoch, place = divmod(step * self.batch + slot, self.items)
            if epoch not in self.epochs:
                self.epochs = {epoch: permutation(self.seed, epoch, self.items)} | self.epochs
            picked.append(self.epochs[epoch][place])
        return np.array(picked)


def timesteps(seed, step, batch, count):
    return np.array([
        below(count, lambda attempt: philox(counters(attempt, slot, step, TIMESTEP), seed)) for slot in range(batch)
    ])


def flips(seed, step, batch):
    return philox(counters(0, np.arange(batch), step, FLIP), seed)[:, 0] >> np.uint64(31) == 1


def noise(seed, step, batch, c, h, w):
    """eps [batch, c, h, w] of a step (of a micro-step, with gradient accumulation); c <= 4."""
    pixel, item = np.meshgrid(np.arange(h * w), np.arange(batch))
    z = normals(philox(counters(pixel, item, step, TRAIN), seed))[..., :c]
    return z.reshape(batch, h, w, c).transpose(0, 3, 1, 2).astype(np.float32)


def name_key(name):
    """FNV-1a."""
    key = 0x811C9DC5
    for byte in name.encode():
        key = (key ^ byte) * 0x01000193 & 0xFFFFFFFF
    return key


def initial(name, shape, fan_in, seed):
    """A weight or bias of a convolution or linear layer: uniform within 1 / sqrt(fan_in)."""
    n = int(np.prod(shape))
    words = philox(counters(np.arange((n + 3) // 4), name_key(name), 0, INIT), seed).reshape(-1)[:n]
    return (((words.astype(np.float64) + 0.5) / 2.0**31 - 1.0) / np.sqrt(fan_in)).astype(np.float32).reshape(shape)
