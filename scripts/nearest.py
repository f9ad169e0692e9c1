#!/usr/bin/env python3
"""How near a model's pictures are to the emoji it learned from: a table, and a sheet to look at.

    unnoise sample MODEL -n 256 --out samples.npz
    python3 -m venv /tmp/nearest && /tmp/nearest/bin/pip install numpy pillow
    /tmp/nearest/bin/python scripts/nearest.py samples.npz [--all] [--sheet nearest.png]

A distance is the root mean square over a picture's 8-bit values, to the nearest of the built-in emoji (the curated ones, or
--all) and their mirror images. The table also shows how far each emoji is from its nearest other. A model that has learned
pictures by heart has samples at a distance near 0. A model that invents has samples about as far away as emoji are from one
another. The sheet shows the samples with the smallest distances and some in between, each above its nearest emoji.
"""
import argparse
import pathlib

import numpy as np
from PIL import Image

ASSETS = pathlib.Path(__file__).parent.parent / "assets"
SIDE, COLUMN = 32, 511  # as scripts/make-emoji.py stacks them


def emoji(curated, size):
    """[n, size, size, 3] bytes and their names, resized as `unnoise train` does."""
    stack = Image.open(ASSETS / "emoji-32.webp").convert("RGB")
    pictures, names = [], []
    for place, line in enumerate((ASSETS / "emoji-32.tsv").read_text(encoding="utf-8").splitlines()):
        _, _, kept, name = line.split("\t")
        if curated and kept != "yes":
            continue
        left, top = place // COLUMN * SIDE, place % COLUMN * SIDE
        picture = stack.crop((left, top, left + SIDE, top + SIDE))
        pictures.append(np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)))
        names.append(name)
    return np.stack(pictures), names


def distances(a, b):
    """[len(a), len(b)] root mean squares over values."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(square, 0) / a.shape[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("samples")
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("--sheet", type=pathlib.Path)
    args = arguments.parse_args()

    samples = np.load(args.samples)["arr_0"]
    data, names = emoji(not args.all, samples.shape[1])
    both = np.concatenate([data, data[:, :, ::-1]])
    far = distances(samples, both)
    nearest, least = far.argmin(1), far.min(1)
    own = distances(data, both)
    rows = np.arange(len(data))
    own[rows, rows] = own[rows, rows + len(data)] = np.inf
    own = own.min(1)

    print(f"{len(samples)} samples, {len(data)} emoji of {samples.shape[2]}x{samples.shape[1]}\n")
    print("| distance to the nearest | least | 5 % | 25 % | median | 75 % | most |\n|---|---|---|---|---|---|---|")
    for what, values in (("a sample to an emoji", least), ("an emoji to another", own)):
        cells = " | ".join(f"{v:.1f}" for v in np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 1]))
        print(f"| {what} | {cells} |")
    for limit in (5, 10, 20):
        share = (least < limit).mean()
        print(f"\nnearer than {limit}: {share:.1%} of the samples, {(own < limit).mean():.1%} of the emoji")
    order = least.argsort()
    print("\nthe nearest:", "; ".join(f"{names[nearest[i] % len(data)]} ({least[i]:.1f})" for i in order[:8]))

    if args.sheet:
        chosen = np.concatenate([order[:16], order[np.linspace(16, len(order) - 1, 16).astype(int)]])
        scale, gap, size = 3, 4, samples.shape[1]
        cell = size * scale + gap
        sheet = Image.new("RGB", (16 * cell + gap, 2 * (2 * cell + 3 * gap)), "white")
        for at, i in enumerate(chosen):
            column, row = at % 16, at // 16
            for part, picture in enumerate((samples[i], both[nearest[i]])):
                large = Image.fromarray(picture).resize((size * scale, size * scale), Image.Resampling.NEAREST)
                sheet.paste(large, (gap + column * cell, gap + row * (2 * cell + 3 * gap) + part * cell))
        sheet.save(args.sheet)


main()
