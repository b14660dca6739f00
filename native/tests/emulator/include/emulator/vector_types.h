// CUDA's built-in vector types, with CUDA's alignments.
#pragma once

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1) : x(width), y(height), z(depth) {}
};

#define HYPERARC_EMULATED_VECTORS(name, Element, alignment2, alignment4)                  \
  struct alignas(alignment2) name##2 {                                                    \
    Element x, y;                                                                         \
  };                                                                                      \
  struct name##3 {                                                                        \
    Element x, y, z;                                                                      \
  };                                                                                      \
  struct alignas(alignment4) name##4 {                                                    \
    Element x, y, z, w;                                                                   \
  };                                                                                      \
  constexpr name##2 make_##name##2(Element x, Element y) { return {x, y}; }               \
  constexpr name##3 make_##name##3(Element x, Element y, Element z) { return {x, y, z}; } \
  constexpr name##4 make_##name##4(Element x, Element y, Element z, Element w) { return {x, y, z, w}; }

HYPERARC_EMULATED_VECTORS(char, signed char, 2, 4)
HYPERARC_EMULATED_VECTORS(uchar, unsigned char, 2, 4)
HYPERARC_EMULATED_VECTORS(short, short, 4, 8)
HYPERARC_EMULATED_VECTORS(ushort, unsigned short, 4, 8)
HYPERARC_EMULATED_VECTORS(int, int, 8, 16)
HYPERARC_EMULATED_VECTORS(uint, unsigned, 8, 16)
HYPERARC_EMULATED_VECTORS(float, float, 8, 16)
HYPERARC_EMULATED_VECTORS(longlong, long long, 16, 16)
HYPERARC_EMULATED_VECTORS(ulonglong, unsigned long long, 16, 16)
HYPERARC_EMULATED_VECTORS(double, double, 16, 16)
#undef HYPERARC_EMULATED_VECTORS
