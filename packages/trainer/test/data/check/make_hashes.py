"""Independent reference of the 256-bit DCT hash: writes hashes.json. Needs NumPy alone.

Pictures are given by formulas of whole numbers, so that the test can make them too.
"""
import json
from pathlib import Path

import numpy as np

SIDE, KEPT = 32, 16


def picture(number: int) -> np.ndarray:
    """Grey levels [32, 32]: a wave, a square, an edge and a texture, each depending on the number."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    wave = (x * (3 + number) + y * (7 - number)) % (11 + 2 * number)
    square = 90 * ((abs(x - 12) < 6 + number % 3) & (abs(y - 18) < 7))
    edge = 40 * (x + 2 * y > 30 + 3 * number)
    texture = (x * x * 31 + y * y * 17 + x * y * (number + 1)) % 29
    return (wave + square + edge + texture).astype(np.float64)


def dct_hash(grey: np.ndarray) -> str:
    # DCT-II from the FFT of the even extension: not the matrix product of the product's code.
    def dct(rows: np.ndarray) -> np.ndarray:
        n = rows.shape[-1]
        extended = np.concatenate([rows, rows[..., ::-1]], axis=-1)
        spectrum = np.fft.fft(extended, axis=-1)[..., :n]
        return (spectrum * np.exp(-1j * np.pi * np.arange(n) / (2 * n))).real / 2

    coefficients = dct(dct(grey).T).T[:KEPT, :KEPT].ravel()
    median = np.median(coefficients[1:])
    margin = np.sort(abs(coefficients[1:] - median))[1]  # of all but the median itself
    assert margin > 1e-6, "a coefficient is too near the median to be a test"
    bits = (coefficients > median).astype(np.uint8)
    bits[0] = 0
    return np.packbits(bits, bitorder="little").tobytes().hex()


if __name__ == "__main__":
    rows = [dct_hash(picture(number)) for number in range(6)]
    Path(__file__).with_name("hashes.json").write_text(json.dumps(rows, indent=1) + "\n")
