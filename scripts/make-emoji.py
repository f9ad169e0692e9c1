#!/usr/bin/env python3
"""Makes assets/emoji-32.webp and assets/emoji-32.tsv: the bitmaps of Noto Emoji at 32 x 32 over white.

    apt-get install fonts-noto-color-emoji unicode-data
    python3 -m venv /tmp/emoji && /tmp/emoji/bin/pip install fonttools pillow
    /tmp/emoji/bin/python scripts/make-emoji.py [--sheet SHEET.png]

The font's CBDT table holds PNGs of 136 x 128. Each is laid over white, padded to a square and resized with an antialiased
bicubic filter. All are stacked in one lossless WebP, in columns of 511 pictures. The table has a line for each: code points,
Unicode's group, whether it is in the curated set, and Unicode's name. The order is Unicode's.

The curated set has one picture for each motif. It leaves out flags, skin tones, the two gendered forms where there is a neutral
one, mirrored forms, parts of sequences, and pictures that look like the one before.
"""
import argparse
import io
import pathlib
import re

from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageStat

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
UNICODE = "/usr/share/unicode/emoji/emoji-test.txt"
SIZE, COLUMN = 32, 511  # a WebP has at most 16,383 rows
VS16, ZWJ, RIGHT, MAN, WOMAN = 0xFE0F, 0x200D, 0x27A1, 0x1F468, 0x1F469
TONES, GENDERS = set(range(0x1F3FB, 0x1F400)), {0x2640, 0x2642}


def unicode_names(path):
    """{code points without VS16: (place, group, name)}"""
    names, group = {}, ""
    for line in open(path, encoding="utf-8"):
        if line.startswith("# group:"):
            group = line.removeprefix("# group:").strip()
        elif found := re.match(r"([0-9A-F ]+?)\s*;.*# \S+ E\S+ (.*)", line):
            points = tuple(int(p, 16) for p in found[1].split())
            names.setdefault(tuple(p for p in points if p != VS16), (len(names), group, found[2]))
    return names


def sequences(font):
    """{glyph: [code points that give it]}"""
    points = {glyph: point for point, glyph in font.getBestCmap().items()}
    found = {glyph: [(point,)] for glyph, point in points.items()}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable if lookup.LookupType == 4 else []:
            for first, ligatures in table.ligatures.items():
                for ligature in ligatures:
                    parts = [first] + ligature.Component
                    if all(part in points for part in parts):
                        sequence = tuple(points[part] for part in parts)
                        found.setdefault(ligature.LigGlyph, []).append(sequence)
    return found


def picture(png):
    """SIZE x SIZE RGB of a bitmap."""
    bitmap = Image.open(io.BytesIO(png)).convert("RGBA")
    side = max(bitmap.size)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(bitmap, ((side - bitmap.width) // 2, (side - bitmap.height) // 2))
    return square.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def describe(candidates, names):
    """(place, code points, group, name) of a glyph; what Unicode does not list goes by its first code point."""
    candidates = [tuple(p for p in points if p != VS16) for points in candidates]
    for points in candidates:
        if points in names:
            place, group, name = names[points]
            return place, points, group, name
    # Of a sequence and its mirror image (the font has both for right-to-left text), the one that starts with the base.
    points = min(candidates, key=lambda c: (c[0] == RIGHT or c[0] in GENDERS, candidates.index(c)))
    place, group, _ = names.get(points[:1], (len(names), "Component", ""))
    if points[0] == 0x1F3F4 or 0x1F1E6 <= points[0] <= 0x1F1FF:
        group = "Flags"
    return place, points, group, ""


def motif(points, group, name):
    """Whether a picture is more than a variant of another one."""
    parts = set(points)
    variant = parts & (TONES | GENDERS | {RIGHT}) if len(points) > 1 else parts & TONES
    gendered = ZWJ in parts and parts & {MAN, WOMAN}
    return bool(name) and group not in ("Flags", "Component") and not variant and not gendered


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheet", help="also write all curated pictures side by side")
    sheet = parser.parse_args().sheet
    font, names = TTFont(FONT), unicode_names(UNICODE)
    known = sequences(font)
    strike = font["CBDT"].strikeData[0]
    glyphs = [(*describe(known[glyph], names), picture(strike[glyph].imageData)) for glyph in strike]
    glyphs.sort(key=lambda glyph: glyph[:2])
    width = -(-len(glyphs) // COLUMN) * SIZE
    stack, lines, kept = Image.new("RGB", (width, COLUMN * SIZE), "white"), [], []
    for i, (_, points, group, name, image) in enumerate(glyphs):
        stack.paste(image, (i // COLUMN * SIZE, i % COLUMN * SIZE))
        curated = motif(points, group, name)
        # A mean difference below 3 of 255: the same motif with a detail changed (the faces of a clock).
        if curated and all(sum(ImageStat.Stat(ImageChops.difference(image, other)).mean) >= 9 for other in kept):
            kept.append(image)
        else:
            curated = False
        lines.append("\t".join(("-".join(f"{p:x}" for p in points), group, "yes" if curated else "no", name)))
    assets = pathlib.Path(__file__).resolve().parent.parent / "assets"
    assets.mkdir(exist_ok=True)
    stack.save(assets / "emoji-32.webp", lossless=True, quality=100, method=6)
    (assets / "emoji-32.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    size = (assets / "emoji-32.webp").stat().st_size
    print(f"{len(glyphs)} pictures, {len(kept)} of them curated, {size:,} bytes")
    if sheet:
        page = Image.new("RGB", (40 * SIZE, -(-len(kept) // 40) * SIZE), "white")
        for i, image in enumerate(kept):
            page.paste(image, (i % 40 * SIZE, i // 40 * SIZE))
        page.save(sheet)


if __name__ == "__main__":
    main()
