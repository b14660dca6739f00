// Bodies of kernels.h's loops, for kVectorFloats floats a vector and tiles of kTileRows rows × 2 vectors held in
// registers. Included once by each kernels_*.cc, after these two constants; everything is in an unnamed namespace,
// since the same names are compiled with different instruction sets.

namespace hyperarc::gradients {
namespace {

using Vector = float __attribute__((vector_size(kVectorFloats * sizeof(float))));
using Unaligned = float __attribute__((vector_size(kVectorFloats * sizeof(float)), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void addTo(float* to, Vector value) { *reinterpret_cast<Unaligned*>(to) += value; }

/// One tile of outerSum: Rows rows × Vectors vectors.
template <int Rows, int Vectors>
void outerTile(const float* const* x, const float* const* y, int64_t count, int64_t row, int64_t column, int64_t stride,
               float* sums) {
  Vector total[Rows][Vectors] = {};
  for (int64_t p = 0; p < count; ++p) {
    const float* xs = x[p] + row;
    const float* ys = y[p] + column;
    Vector yv[Vectors];
    for (int v = 0; v < Vectors; ++v) yv[v] = load(ys + v * kVectorFloats);
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < Vectors; ++v) total[r][v] += xs[r] * yv[v];
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) addTo(sums + (row + r) * stride + column + v * kVectorFloats, total[r][v]);
  }
}

template <int Rows, int Vectors>
void outerRows(const float* const* x, const float* const* y, int64_t count, int64_t row, int64_t rows, int64_t column,
               int64_t stride, float* sums) {
  for (; row + Rows <= rows; row += Rows) outerTile<Rows, Vectors>(x, y, count, row, column, stride, sums);
  if constexpr (Rows > 1) {
    if (row < rows) outerRows<Rows / 2, Vectors>(x, y, count, row, rows, column, stride, sums);
  }
}

void outerSum(const float* const* x, const float* const* y, int64_t count, int64_t rows, int64_t columns, float* sums) {
  int64_t column = 0;
  for (; column + 2 * kVectorFloats <= columns; column += 2 * kVectorFloats) {
    outerRows<kTileRows, 2>(x, y, count, 0, rows, column, columns, sums);
  }
  for (; column + kVectorFloats <= columns; column += kVectorFloats) {
    outerRows<kTileRows, 1>(x, y, count, 0, rows, column, columns, sums);
  }
  for (; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      float total = 0;
      for (int64_t p = 0; p < count; ++p) total += x[p][row] * y[p][column];
      sums[row * columns + column] += total;
    }
  }
}

constexpr int64_t kPanelColumns = 2 * kVectorFloats;

/// One tile of rowsTimesMatrix: Rows rows of `a` times a panel of b; only `columns` ≤ kPanelColumns of it are stored.
template <int Rows>
void matrixTile(const float* const* a, const float* panel, int64_t depth, int64_t column, int64_t columns,
                float* const* out) {
  Vector total[Rows][2] = {};
  for (int64_t k = 0; k < depth; ++k) {
    const Vector low = load(panel + k * kPanelColumns);
    const Vector high = load(panel + k * kPanelColumns + kVectorFloats);
    for (int r = 0; r < Rows; ++r) {
      total[r][0] += a[r][k] * low;
      total[r][1] += a[r][k] * high;
    }
  }
  for (int r = 0; r < Rows; ++r) {
    float* to = out[r] + column;
    if (columns == kPanelColumns) {
      addTo(to, total[r][0]);
      addTo(to + kVectorFloats, total[r][1]);
    } else {
      for (int64_t n = 0; n < columns; ++n) to[n] += total[r][n / kVectorFloats][n % kVectorFloats];
    }
  }
}

template <int Rows>
void matrixRows(const float* const* a, const float* panel, int64_t p, int64_t count, int64_t depth, int64_t column,
                int64_t columns, float* const* out) {
  for (; p + Rows <= count; p += Rows) matrixTile<Rows>(a + p, panel, depth, column, columns, out + p);
  if constexpr (Rows > 1) {
    if (p < count) matrixRows<Rows / 2>(a, panel, p, count, depth, column, columns, out);
  }
}

void rowsTimesMatrix(const float* const* a, const float* packedB, int64_t count, int64_t depth, int64_t columns,
                     float* const* out) {
  for (int64_t column = 0; column < columns; column += kPanelColumns) {
    const int64_t width = columns - column < kPanelColumns ? columns - column : kPanelColumns;
    matrixRows<kTileRows>(a, packedB + column * depth, 0, count, depth, column, width, out);
  }
}

void depthwiseFilter(const float* const* x, const float* const* y, int64_t count, int64_t channels, int64_t multiplier,
                     float* sums) {
  for (int64_t p = 0; p < count; ++p) {
    const float* xs = x[p];
    const float* ys = y[p];
    if (multiplier == 1) {
      for (int64_t c = 0; c < channels; ++c) sums[c] += xs[c] * ys[c];
    } else {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t q = 0; q < multiplier; ++q) sums[c * multiplier + q] += xs[c] * ys[c * multiplier + q];
      }
    }
  }
}

void depthwiseInput(const float* const* y, const float* filter, int64_t count, int64_t channels, int64_t multiplier,
                    float* const* out) {
  for (int64_t p = 0; p < count; ++p) {
    const float* ys = y[p];
    float* to = out[p];
    if (multiplier == 1) {
      for (int64_t c = 0; c < channels; ++c) to[c] += ys[c] * filter[c];
    } else {
      for (int64_t c = 0; c < channels; ++c) {
        float total = 0;
        for (int64_t q = 0; q < multiplier; ++q) total += ys[c * multiplier + q] * filter[c * multiplier + q];
        to[c] += total;
      }
    }
  }
}

constexpr Kernels kBody{outerSum, rowsTimesMatrix, kPanelColumns, depthwiseFilter, depthwiseInput};

}  // namespace
}  // namespace hyperarc::gradients
