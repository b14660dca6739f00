// The two GEMM forms on panel matrices: a register tile of kTileRows × 2 vectors, the row operand broadcast, the panel
// operand loaded as vectors. Blocking: see KernelTable::multiply.
#pragma once

#include "cpu/kernels_vector.h"

namespace hyperarc::cpu {
namespace {

/// Length of one run of sums, a multiple of every kPanel; a [128 × panel] slice of b stays in L1.
constexpr int64_t kDepth = 128;

template <int kRows, int kVectors>
HYPERARC_INLINE void writeTile(const Vec (&sum)[kRows][kVectors], float* c, bool accumulate) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      float* p = c + r * kPanel + v * kLanes;
      store(p, accumulate ? load(p) + sum[r][v] : sum[r][v]);
    }
  }
}

/// c[kRows × kVectors·lanes] (+)= a·b, k running along a's panels.
template <int kRows, int kVectors>
void rowTile(const float* a, int64_t aPanelStride, const float* b, float* c, int64_t k, bool accumulate) {
  Vec sum[kRows][kVectors] = {};
  for (int64_t k0 = 0; k0 < k; k0 += kPanel, a += aPanelStride) {
    const int64_t steps = smaller(kPanel, k - k0);
    for (int64_t step = 0; step < steps; ++step, b += kPanel) {
      Vec right[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vec left = splat(a[r * kPanel + step]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
      }
    }
  }
  writeTile(sum, c, accumulate);
}

/// c[kRows × kVectors·lanes] (+)= aᵀ·b, k running along a's rows; a points at the tile's first column.
template <int kRows, int kVectors>
void columnTile(const float* a, int64_t, const float* b, float* c, int64_t k, bool accumulate) {
  Vec sum[kRows][kVectors] = {};
  for (int64_t step = 0; step < k; ++step, a += kPanel, b += kPanel) {
    Vec right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec left = splat(a[r]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
    }
  }
  writeTile(sum, c, accumulate);
}

using Tile = void (*)(const float* a, int64_t aPanelStride, const float* b, float* c, int64_t k, bool accumulate);

struct TileTable {
  Tile tiles[kTileRows + 1][3];
};

template <bool kRowForm, int kRows>
constexpr void fillTiles(TileTable& table) {
  if constexpr (kRowForm) {
    table.tiles[kRows][1] = rowTile<kRows, 1>;
    table.tiles[kRows][2] = rowTile<kRows, 2>;
  } else {
    table.tiles[kRows][1] = columnTile<kRows, 1>;
    table.tiles[kRows][2] = columnTile<kRows, 2>;
  }
  if constexpr (kRows > 1) fillTiles<kRowForm, kRows - 1>(table);
}

template <bool kRowForm>
constexpr TileTable makeTiles() {
  TileTable table = {};
  fillTiles<kRowForm, kTileRows>(table);
  return table;
}

constexpr TileTable kRowTiles = makeTiles<true>();
constexpr TileTable kColumnTiles = makeTiles<false>();

HYPERARC_INLINE int vectorsOf(int64_t columns) { return columns > kLanes ? 2 : 1; }

/// The rows of the tile that starts at `row` when `left` rows are cut into tiles of nearly equal size.
HYPERARC_INLINE int64_t tileRows(int64_t left) {
  const int64_t tiles = (left + kTileRows - 1) / kTileRows;
  return (left + tiles - 1) / tiles;
}

void multiply(Panels a, Panels b, Panels c, int64_t m, int64_t k, int64_t n, bool accumulate) {
  for (int64_t k0 = 0; k0 < k; k0 += kDepth) {
    const int64_t depth = smaller(kDepth, k - k0);
    const bool add = accumulate || k0 > 0;
    for (int64_t n0 = 0; n0 < n; n0 += kPanel) {
      const int vectors = vectorsOf(n - n0);
      const float* right = panelAt(b, n0) + k0 * kPanel;
      for (int64_t m0 = 0; m0 < m;) {
        const int64_t rows = tileRows(m - m0);
        kRowTiles.tiles[rows][vectors](panelAt(a, k0) + m0 * kPanel, a.rowCapacity * kPanel, right,
                                       panelAt(c, n0) + m0 * kPanel, depth, add);
        m0 += rows;
      }
    }
  }
}

void multiplyTransposed(Panels a, Panels b, Panels c, int64_t m, int64_t k, int64_t n, bool accumulate) {
  for (int64_t k0 = 0; k0 < k; k0 += kDepth) {
    const int64_t depth = smaller(kDepth, k - k0);
    const bool add = accumulate || k0 > 0;
    for (int64_t n0 = 0; n0 < n; n0 += kPanel) {
      const int vectors = vectorsOf(n - n0);
      const float* right = panelAt(b, n0) + k0 * kPanel;
      for (int64_t p0 = 0; p0 < m; p0 += kPanel) {
        const int64_t columns = smaller(kPanel, m - p0);
        for (int64_t i = 0; i < columns;) {
          const int64_t rows = tileRows(columns - i);
          kColumnTiles.tiles[rows][vectors](panelAt(a, p0) + k0 * kPanel + i, 0, right,
                                            panelAt(c, n0) + (p0 + i) * kPanel, depth, add);
          i += rows;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hyperarc::cpu
