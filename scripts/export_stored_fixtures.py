"""Writes crates/data/tests/fixtures/stored.tar.gz: small pictures as other tools store numbers that are no bytes.

    pip install tifffile imagecodecs pypng pillow numpy
    python scripts/export_stored_fixtures.py

Written with numpy 2.4.6, tifffile 2026.3.3, imagecodecs 2026.3.6, pypng 0.20220715.0, pillow 13.0.0. Every picture is 5 wide
and 4 high; the value at row y, column x, channel c is a function of i = (y * 5 + x) * channels + c, by type:

    u8  i * 7 % 251        u16 (i * 521 + 3) % 65536        i16 i * 97 - 1000        i32, u32 i * 90001
    f16, f32, f64          i * 0.25 - 3

Names are `<type>-<channels>...`, so that a reader's test computes what it must find; there is no randomness.
"""

import io
import tarfile
import gzip
from pathlib import Path

import numpy as np
import png
import tifffile
from PIL import Image

TARGET = Path(__file__).resolve().parent.parent / "crates" / "data" / "tests" / "fixtures" / "stored.tar.gz"
HEIGHT, WIDTH = 4, 5


def values(kind: str, channels: int) -> np.ndarray:
    i = np.arange(HEIGHT * WIDTH * channels, dtype=np.int64).reshape(HEIGHT, WIDTH, channels)
    return {
        "u8": lambda: (i * 7 % 251).astype(np.uint8),
        "u16": lambda: (i * 521 + 3).astype(np.uint16),
        "i16": lambda: (i * 97 - 1000).astype(np.int16),
        "i32": lambda: (i * 90001).astype(np.int32),
        "u32": lambda: (i * 90001).astype(np.uint32),
        "f16": lambda: (i * 0.25 - 3).astype(np.float16),
        "f32": lambda: (i * 0.25 - 3).astype(np.float32),
        "f64": lambda: (i * 0.25 - 3).astype(np.float64),
    }[kind]()


def tiff(array: np.ndarray, **options) -> bytes:
    out = io.BytesIO()
    planar = options.pop("planar", False)
    array = np.moveaxis(array, -1, 0) if planar else array
    if array.shape[0 if planar else -1] == 1:
        array = array[0] if planar else array[..., 0]
    else:
        options["planarconfig"] = "separate" if planar else "contig"
    tifffile.imwrite(out, array, photometric="minisblack", metadata=None, **options)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def files() -> dict[str, bytes]:
    found = {}
    for kind, channels in [("u8", 5), ("u16", 1), ("u16", 3), ("u16", 12), ("i16", 1), ("u32", 1), ("i32", 2), ("f16", 1),
                           ("f32", 1), ("f32", 4), ("f64", 2)]:
        found[f"{kind}-{channels}.tif"] = tiff(values(kind, channels))
    found["u8-5-planar.tif"] = tiff(values("u8", 5), planar=True)
    found["u16-7-planar-strips.tif"] = tiff(values("u16", 7), planar=True, rowsperstrip=1)
    found["u16-3-big-endian.tif"] = tiff(values("u16", 3), byteorder=">")
    found["u16-5-tiled-deflate.tif"] = tiff(values("u16", 5), tile=(16, 16), compression="zlib", predictor=2)
    found["f32-3-lzw.tif"] = tiff(values("f32", 3), compression="lzw")
    found["f32-2-float-predictor.tif"] = tiff(values("f32", 2), compression="zlib", predictor=3)
    found["u16-2-turned.tif"] = tiff(values("u16", 2), extratags=[(274, "H", 1, 6, True)])
    found["f32-2-turned.tif"] = tiff(values("f32", 2), planar=True, extratags=[(274, "H", 1, 3, True)])
    for kind, channels in [("u16", 1), ("u16", 2), ("u16", 3), ("u16", 4), ("u8", 1), ("u8", 2), ("u8", 3), ("u8", 4)]:
        out = io.BytesIO()
        writer = png.Writer(WIDTH, HEIGHT, greyscale=channels < 3, alpha=channels % 2 == 0, bitdepth=int(kind[1:]))
        writer.write(out, values(kind, channels).reshape(HEIGHT, -1).tolist())
        found[f"{kind}-{channels}.png"] = out.getvalue()
    for kind, channels in [("u8", 1), ("u8", 6), ("u16", 1), ("i16", 2), ("i32", 1), ("u32", 1), ("f32", 1), ("f32", 9), ("f64", 3)]:
        array = values(kind, channels)
        found[f"{kind}-{channels}.npy"] = npy(array[..., 0] if channels == 1 else array)
    found["u16-2-big-endian.npy"] = npy(values("u16", 2).astype(">u2"))
    found["f32-3-big-endian.npy"] = npy(values("f32", 3).astype(">f4"))
    # What is refused, by what it is.
    found["bad-fortran.npy"] = npy(np.asfortranarray(values("f32", 3)))
    found["bad-bool.npy"] = npy(values("u8", 1)[..., 0] > 9)
    found["bad-complex.npy"] = npy(values("f32", 1)[..., 0].astype(np.complex64))
    found["bad-structured.npy"] = npy(np.zeros((4, 5), dtype=[("a", "<f4"), ("b", "<i2")]))
    found["bad-first.npy"] = npy(np.zeros((3, 40, 50), dtype=np.float32))
    found["bad-stack.npy"] = npy(np.zeros((2, 3, 4, 5), dtype=np.float32))
    found["bad-line.npy"] = npy(np.zeros(20, dtype=np.float32))
    found["bad-large.npy"] = npy(np.full((2, 2), 2**24 + 1, dtype=np.int32))
    found["bad-huge.npy"] = npy(np.full((2, 2), 1e300))
    for kind in ["L", "P"]:
        out = io.BytesIO()
        image = Image.fromarray(values("u8", 1)[..., 0], "L")
        if kind == "P":
            image = image.convert("P")
            image.putpalette([(7 * k) % 256 for k in range(768)])
        image.save(out, "PNG")
        found[f"pillow-{kind}.png"] = out.getvalue()
    out = io.BytesIO()
    Image.new("L", (WIDTH, HEIGHT), 77).save(out, "JPEG")
    found["gray.jpg"] = out.getvalue()
    return found


def main() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files().items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    TARGET.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
