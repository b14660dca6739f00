"""WebP files and what Pillow decodes them to, as PNG of the same name: an independent encoder and caller of libwebp for the tests of WebP.

    python3 make_webp.py        # with numpy, pillow; writes beside itself
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
HEIGHT, WIDTH = 23, 37  # odd: half-resolution chroma has a column and a row of its own at the edges

y, x = np.mgrid[:HEIGHT, :WIDTH]
drawn = np.stack([x * 255 // (WIDTH - 1), y * 255 // (HEIGHT - 1), x * y * 7 % 256], -1).astype(np.uint8)
alpha = np.clip(8 * (x + y) - 64, 0, 255).astype(np.uint8)[..., None]  # nothing at the top left, all at the bottom right
opaque = Image.fromarray(drawn)
transparent = Image.fromarray(np.concatenate([drawn, alpha], -1))
turned = Image.Exif()
turned[0x0112] = 6  # orientation: to be turned clockwise by a quarter


def write(name, image, **options):
    image.save(HERE / f"{name}.webp", **options)
    decoded = ImageOps.exif_transpose(Image.open(HERE / f"{name}.webp"))
    decoded.info.clear()
    decoded.save(HERE / f"{name}.png", optimize=True)
    return np.asarray(decoded)


write("lossy", opaque, quality=80)
write("lossy-transparent", transparent, quality=80)
assert np.array_equal(write("lossless", opaque, lossless=True), drawn)
# exact: keeps colours where alpha is 0
assert np.array_equal(write("lossless-transparent", transparent, lossless=True, exact=True)[..., :3], drawn)
assert np.array_equal(write("turned", opaque, lossless=True, exif=turned), np.rot90(drawn, -1))
opaque.save(HERE / "animated.webp", save_all=True, append_images=[opaque.rotate(180)])
