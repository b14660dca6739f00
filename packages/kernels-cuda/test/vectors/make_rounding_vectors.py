"""Writes rounding.json beside itself: docs/numerics.md's rounding to bf16, written here a second time on exact fractions.

    python make_rounding_vectors.py

nearest: fp32 numbers and the nearest bf16 numbers, ties to even.
stochastic: fp32 numbers with the row, element and rounding step that draw their random bits, and the two bf16 numbers that
they become as a weight and as a momentum, and the one they become as a second moment of AdamW. Numbers are fp32 bit patterns in hexadecimal.
"""

import json
import pathlib
import random
import struct
from fractions import Fraction

from philox import philox4x32

HERE = pathlib.Path(__file__).parent
LARGEST = 0x7F7F  # upper half of the largest finite bf16 number


def value_of(bits):
    return Fraction(struct.unpack("<f", struct.pack("<I", bits))[0])


def neighbours(bits):
    """Magnitudes of the bf16 numbers below and above |value|, as upper halves; equal where it is one."""
    below = (bits & 0x7FFFFFFF) >> 16
    return below, below if bits & 0xFFFF == 0 else below + 1


def magnitude(upper):
    """Of an upper half; the one past the largest stands for 2**128."""
    return Fraction(2) ** 128 if upper == LARGEST + 1 else value_of(upper << 16)


def share_above(bits):
    """Where |value| stands between its neighbours, in [0, 1)."""
    below, above = neighbours(bits)
    if below == above:
        return Fraction(0)
    low, high = magnitude(below), magnitude(above)
    return (abs(value_of(bits)) - low) / (high - low)


def nearest(bits):
    below, above = neighbours(bits)
    share = share_above(bits)
    up = share > Fraction(1, 2) or (share == Fraction(1, 2) and below % 2 == 1)
    return (bits & 0x80000000) | (above if up else below) << 16


def stochastic(bits, random16):
    """Away from zero where the random number in [0, 1) and the share add up to 1 or more; never past the largest."""
    below, above = neighbours(bits)
    up = share_above(bits) + Fraction(random16, 65536) >= 1 and above <= LARGEST
    return (bits & 0x80000000) | (above if up else below) << 16


def random_bits(row, element, step, stream=0x524F554E):
    counter = (row & 0xFFFFFFFF, row >> 32, element // 4, stream)
    word = philox4x32(counter, (step & 0xFFFFFFFF, step >> 32))[element % 4]
    return word & 0xFFFF, word >> 16


def main():
    generator = random.Random(2048)
    special = [0x00000000, 0x80000000, 0x3F800000, 0x3F808000, 0x3F818000, 0xBF808001, 0x3F807FFF, 0x00000001, 0x80008000,
               0x0001FFFF, 0x7F7F0000, 0x7F7F7FFF, 0x7F7F8000, 0xFF7FFFFF, 0x477FE000]
    numbers = special + [generator.getrandbits(1) << 31 | generator.randrange(0x7F7F0000) for _ in range(60)]
    draws = []
    for bits in numbers:
        row = generator.choice([0, 3, generator.randrange(2**20), 2**32 + generator.randrange(1000)])
        element = generator.randrange(600)
        step = generator.choice([0, 1, generator.randrange(2**31), 2**63 + 5])
        for_weight, for_momentum = random_bits(row, element, step)
        for_second, _ = random_bits(row, element, step, 0x524F5532)
        draws.append({"bits": f"{bits:08x}", "row": row, "element": element, "step": str(step),
                      "weight": f"{stochastic(bits, for_weight):08x}", "momentum": f"{stochastic(bits, for_momentum):08x}",
                      "secondMoment": f"{stochastic(bits, for_second):08x}"})
    rounding = {"nearest": [[f"{bits:08x}", f"{nearest(bits):08x}"] for bits in numbers], "stochastic": draws}
    (HERE / "rounding.json").write_text(json.dumps(rounding, indent=1) + "\n")


if __name__ == "__main__":
    main()
