#!/usr/bin/env python3
"""Makes letters24.npz: the letters A-Z a-z 0-9 of all fonts, for a class-conditional model.

    apt-get install --no-install-recommends $(cat scripts/letters-fonts.txt)
    (cd /tmp && apt-get download texlive-fonts-extra && dpkg-deb -x texlive-fonts-extra_*.deb tex-fonts)
    python3 -m venv /tmp/letters && /tmp/letters/bin/pip install numpy pillow fonttools
    /tmp/letters/bin/python scripts/make-letters.py --fonts /usr/share/fonts /tmp/tex-fonts [--sheet SHEET.png]

The arrays: `images` (n x 24 x 24 bytes, white ink on black), `labels` (0 to 61) and `class_names`. The pictures of a font
follow one another. The same files give the same bytes. (TeX's fonts are unpacked, not installed: TeX isn't needed.)

All fonts have their baseline on the same row, so that letters side by side make a word. A font has one scale, so that capitals,
x-height and descenders keep their proportions: the largest at which its ascenders fit above the baseline, its descenders below
it and all but its widest letters across. A letter that would still be cut is made narrower or lower, by at most SQUEEZE, or left
out. Letters are centred, since a font's spacing is of no use to a model that draws them one by one.

What is left out, besides fonts that don't have all of the letters: fonts that draw one picture for several letters (boxes for
what they lack), fonts whose small letters are mostly copies of the capitals (the label would be wrong; small capitals are kept),
fonts whose strokes fade at this size, fonts that can't be read (dingbats, icons, Greek in the place of Latin, ornaments), and
fonts that are nearly the same as one before. How well a font can be read is measured: a classifier is fitted to the letters of
all fonts, and must recognise most of the font's own, not minding the case.
"""
import argparse
import collections
import io
import os
import pathlib
import string
import zipfile

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
EM = 128  # the size in pixels at which letters are drawn before they are scaled down
# The box in parts of its side: the baseline, what is used above and below it, and what is used across.
BASELINE, ABOVE, BELOW, ACROSS = 18 / 24, 17.25 / 24, 5.5 / 24, 23 / 24
SQUEEZE = 0.7  # the least factor by which a single letter is made narrower or lower
LOW = 8 / 24  # capitals lower than this: the font is too wide for the box
CASE_COPIES = 4  # small letters that may be the capital's picture
READABLE = 0.64  # the share of a font's letters that the classifier must recognise
FAINT = 140  # the brightest pixel, of 255, that the median letter must have
ALIKE = 4  # the mean difference, of 255, below which two fonts are the same
SHAPE = 12  # the side of the pictures that the classifier sees: a letter that fills the box
# By name: pictures that are known, and letters between the lines of a school book.
NAMES = ("emoji", "icons", "awesome", "pautada", "lignes")
ALIKE_GROUPS = [set("Iil1"), set("Oo0"), set("Ss5"), set("Zz2")]  # a font may draw these alike


def files(folders):
    """All font files, in an order that doesn't depend on where the folders are."""
    found = {}
    for folder in map(pathlib.Path, folders):
        for path in folder.rglob("*"):
            if path.suffix.lower() in (".ttf", ".otf") and path.is_file():
                found.setdefault(str(path.relative_to(folder)), path)
    return [found[name] for name in sorted(found)]


def draw(path):
    """The 62 letters at size EM: [(mask, left, top)] with the place of the mask relative to the baseline, or a reason."""
    if any(word in path.name.lower() for word in NAMES):
        return "name"
    try:
        with TTFont(path, lazy=True) as font:
            glyphs = font.getBestCmap() or {}
        if not all(ord(c) in glyphs for c in CHARACTERS):
            return "letters missing"
        face = ImageFont.truetype(path, EM, layout_engine=ImageFont.Layout.BASIC)
        letters = []
        for c in CHARACTERS:
            left, top, right, bottom = face.getbbox(c, anchor="ls")
            if not (0 < right - left < 8 * EM and 0 < bottom - top < 8 * EM):
                return "empty or huge letters"
            image = Image.new("L", (right - left, bottom - top))
            ImageDraw.Draw(image).text((-left, -top), c, fill=255, font=face, anchor="ls")
            box = image.getbbox()
            if not box:
                return "empty or huge letters"
            letters.append((image.crop(box), left + box[0], top + box[1]))
        return letters
    except Exception:  # fontTools and FreeType have many ways to say that a file is damaged or has bitmaps only
        return "unreadable file"


def place(letters, size):
    """[62, size, size] pictures and [62] which of them fit, or a reason."""
    tops = np.array([-top for _, _, top in letters], float)
    bottoms = np.array([top + image.height for image, _, top in letters], float)
    widths = np.array([image.width for image, _, _ in letters], float)
    descenders = [bottoms[CHARACTERS.index(c)] for c in "gjpqy"]
    up, down, wide = np.quantile(tops, 0.95), np.median(descenders), np.quantile(widths, 0.95)
    if up <= 0:
        return "not on the baseline"
    scale = size * min(ABOVE / up, BELOW / max(down, 1), ACROSS / wide)
    if np.median(tops[:26]) * scale < LOW * size:
        return "too wide or deep"
    pictures, fits = np.zeros((len(letters), size, size), np.uint8), np.ones(len(letters), bool)
    for i, (image, _, top) in enumerate(letters):
        narrow = min(1, size * ACROSS / (widths[i] * scale))
        above, below = size * BASELINE / max(tops[i] * scale, 1), size * (1 - BASELINE) / max(bottoms[i] * scale, 1)
        low = min(1, above, below)
        fits[i] = min(narrow, low) >= SQUEEZE
        # The part of the plane that becomes the picture, in pixels of the large drawing.
        width, height = size / (scale * narrow), size / (scale * low)
        left, upper = (width - widths[i]) / 2, height * BASELINE + top
        page = Image.new("L", (int(width) + 3, int(height) + 3))
        page.paste(image, (int(left) + 1, int(upper) + 1))
        x, y = 1 - left % 1, 1 - upper % 1
        box = (x, y, x + width, y + height)
        pictures[i] = np.asarray(page.resize((size, size), Image.Resampling.LANCZOS, box=box))
    return pictures, fits


def shape(image):
    """A letter in the middle of a square that it fills."""
    side = max(image.size)
    square = Image.new("L", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((SHAPE, SHAPE), Image.Resampling.BOX))


def alike(a, b):
    return a.lower() == b.lower() or any({a, b} <= group for group in ALIKE_GROUPS)


def twins(pictures):
    """A reason to leave a font out because it has the same picture for several letters, or None."""
    first = {}
    for c, picture in zip(CHARACTERS, pictures):
        if not alike(c, first.setdefault(picture.tobytes(), c)):
            return "one picture for several letters"
    copies = (np.abs(pictures[:26].astype(int) - pictures[26:52]).mean((1, 2)) < 1).sum()
    return "small letters are capitals" if copies > CASE_COPIES else None


def readable(shapes):
    """The share of each font's letters that a classifier recognises: ridge regression on pixels and products of pixels."""
    half, count = SHAPE // 2, len(CHARACTERS)
    pairs = np.triu_indices(half * half)

    def features(font):
        pixels = font.astype(np.float32) / 255
        pixels /= np.sqrt((pixels * pixels).mean((1, 2), keepdims=True)) + 1e-3
        coarse = pixels.reshape(count, half, 2, half, 2).mean((2, 4)).reshape(count, -1)
        products = coarse[:, pairs[0]] * coarse[:, pairs[1]]
        return np.concatenate([pixels.reshape(count, -1), products, np.ones((count, 1), np.float32)], 1)

    square, sums = 0.0, 0.0
    for font in shapes:
        values = features(font).astype(np.float64)
        square, sums = square + values.T @ values, sums + values.T  # the targets are the rows of the identity
    ridge = 1e-4 * np.trace(square) / len(square)
    weights = np.linalg.solve(square + ridge * np.eye(len(square)), sums)
    right = np.array([[alike(a, b) for b in CHARACTERS] for a in CHARACTERS])
    guesses = ((features(font) @ weights).argmax(1) for font in shapes)
    return np.array([right[np.arange(count), guess].mean() for guess in guesses])


def distinct(fonts):
    """Which fonts are not nearly the same as one before."""
    size = fonts.shape[-1]
    # The difference of the means of blocks is at most the mean difference, and is a sixteenth of the work.
    blocks = fonts.reshape(len(fonts), len(CHARACTERS), size // 4, 4, size // 4, 4).mean((3, 5), dtype=np.float32)
    blocks = blocks.reshape(len(fonts), -1)
    kept = []
    for i, block in enumerate(blocks):
        near = np.abs(blocks[kept] - block).mean(1) < ALIKE + 0.01  # float32's error
        others = [k for k, n in zip(kept, near) if n]
        if all(np.abs(fonts[k].astype(np.int16) - fonts[i]).mean() >= ALIKE for k in others):
            kept.append(i)
    return kept


def save(path, arrays):
    """An npz whose bytes depend on the arrays alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            entry = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue())


def draw_sheet(path, fonts, fits, chosen):
    """A row for each of the chosen fonts."""
    size = fonts.shape[-1]
    cell = size + 1
    sheet = np.zeros((len(chosen) * cell, len(CHARACTERS) * cell), np.uint8)
    for row, i in enumerate(chosen):
        for column in np.flatnonzero(fits[i]):
            sheet[row * cell : row * cell + size, column * cell : column * cell + size] = fonts[i, column]
    Image.fromarray(sheet).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=24, help="a multiple of 4")
    parser.add_argument("--out", type=pathlib.Path, default="letters24.npz")
    parser.add_argument("--fonts", nargs="+", default=["/usr/share/fonts"], metavar="DIR")
    parser.add_argument("--sheet", type=pathlib.Path, help="also write 40 of the fonts, one a row")
    parser.add_argument("--list", type=pathlib.Path, help="also write what became of each file")
    args = parser.parse_args()

    paths, reasons, drawn = files(args.fonts), {}, []
    for path in paths:
        letters = draw(path)
        placed = place(letters, args.size) if isinstance(letters, list) else letters
        reason = placed if isinstance(placed, str) else twins(placed[0])
        if not reason and np.median(placed[0].max((1, 2))) < FAINT:
            reason = "too faint"
        if reason:
            reasons[path] = reason
        else:
            drawn.append((path, *placed, np.stack([shape(image) for image, _, _ in letters])))
    left = [path for path, _, _, _ in drawn]
    fonts, fits, shapes = (np.stack([font[i] for font in drawn]) for i in (1, 2, 3))
    shares = readable(shapes)
    for path, share in zip(left, shares):
        if share < READABLE:
            reasons[path] = "can't be read"
    rows = np.flatnonzero(shares >= READABLE)
    kept = rows[distinct(fonts[rows])]
    for i in set(rows) - set(kept):
        reasons[left[i]] = "nearly the same as another"
    fonts, fits = fonts[kept], fits[kept]
    images, labels = fonts[fits], np.nonzero(fits)[1].astype(np.int64)
    save(args.out, {"images": images, "labels": labels, "class_names": np.array(list(CHARACTERS))})

    print(f"{len(paths)} files, {len(kept)} fonts, {len(images)} pictures ({(~fits).sum()} left out: they would be cut)")
    for reason, count in collections.Counter(reasons.values()).most_common():
        print(f"{count:5} {reason}")
    print(f"mean value {images.mean():.1f}, {os.path.getsize(args.out):,} bytes")
    if args.sheet:
        draw_sheet(args.sheet, fonts, fits, np.linspace(0, len(kept) - 1, 40).astype(int))
    if args.list:
        readings = dict(zip(left, shares))
        lines = [f"{reasons.get(p, 'kept')}\t{readings.get(p, 0):.3f}\t{p}\n" for p in paths]
        args.list.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
