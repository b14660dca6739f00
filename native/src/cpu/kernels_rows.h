// Packing, and the row-wise work around the GEMMs: normalisation, projection, the SGD update.
#pragma once

#include "cpu/kernels_vector.h"

namespace hyperarc::cpu {
namespace {

void packRows(const float* const* rows, const float* inverseNorms, int64_t count, int64_t dim, Panels out) {
  for (int64_t r = 0; r < count; ++r) {
    const float* in = rows[r];
    const float factor = inverseNorms[r];
    int64_t d = 0;
    for (; d + kPanel <= dim; d += kPanel) {
      float* p = panelAt(out, d) + r * kPanel;
      store(p, load(in + d) * factor);
      store(p + kLanes, load(in + d + kLanes) * factor);
    }
    if (d == dim) continue;
    float* p = panelAt(out, d) + r * kPanel;
    for (int64_t j = 0; j < kPanel; ++j) p[j] = d + j < dim ? in[d + j] * factor : 0.0f;
  }
}

void packTransposed(const float* in, const float* inverseNorms, int64_t count, int64_t dim, Panels out) {
  for (int64_t i0 = 0; i0 < count; i0 += kPanel) {
    float* panel = panelAt(out, i0);
    for (int64_t d = 0; d < dim; ++d) {
      for (int64_t j = 0; j < kPanel; ++j) {
        panel[d * kPanel + j] = i0 + j < count ? in[(i0 + j) * dim + d] * inverseNorms[i0 + j] : 0.0f;
      }
    }
  }
}

void sumRows(Panels s, int64_t rows, int64_t count, double* sums) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const float* p = panelAt(s, i) + i % kPanel;
    Vec sum = {};
    for (int64_t r = 0; r < rows; ++r, p += kPanel) sum += load(p);
    float lanes[kLanes];
    store(lanes, sum);
    const int64_t used = smaller(kLanes, count - i);
    for (int64_t j = 0; j < used; ++j) sums[i + j] += static_cast<double>(lanes[j]);
  }
}

// Padding columns of v and of the unit vectors are zero, so whole panels can be used below.
void projectRow(Panels v, Panels unit, int64_t row, int64_t dim, float inverseNorm) {
  Vec dot0 = {}, dot1 = {};
  for (int64_t d = 0; d < dim; d += kPanel) {
    const float* x = panelAt(v, d) + row * kPanel;
    const float* u = panelAt(unit, d) + row * kPanel;
    dot0 += load(x) * load(u);
    if (d + kLanes < dim) dot1 += load(x + kLanes) * load(u + kLanes);
  }
  const float dot = sumLanes(dot0 + dot1);
  for (int64_t d = 0; d < dim; d += kPanel) {
    float* x = panelAt(v, d) + row * kPanel;
    const float* u = panelAt(unit, d) + row * kPanel;
    store(x, (load(x) - load(u) * dot) * inverseNorm);
    if (d + kLanes < dim) store(x + kLanes, (load(x + kLanes) - load(u + kLanes) * dot) * inverseNorm);
  }
}

void addRow(Panels v, int64_t row, const float* x, int64_t dim, float factor) {
  for (int64_t d0 = 0; d0 < dim; d0 += kPanel) {
    float* p = panelAt(v, d0) + row * kPanel;
    const int64_t columns = smaller(kPanel, dim - d0);
    for (int64_t j = 0; j < columns; ++j) p[j] += factor * x[d0 + j];
  }
}

void readRow(Panels v, int64_t row, float* out, int64_t dim) {
  for (int64_t d0 = 0; d0 < dim; d0 += kPanel) {
    const float* p = panelAt(v, d0) + row * kPanel;
    const int64_t columns = smaller(kPanel, dim - d0);
    for (int64_t j = 0; j < columns; ++j) out[d0 + j] = p[j];
  }
}

template <bool kGradient, bool kMomentum>
HYPERARC_INLINE void sgd(const float* gradient, float* weights, float* momentum, int64_t dim, float learningRate,
                         float mu, float weightDecay) {
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    const Vec w = load(weights + d);
    Vec g = w * weightDecay;
    if constexpr (kGradient) g = load(gradient + d) + g;
    if constexpr (kMomentum) {
      g = load(momentum + d) * mu + g;
      store(momentum + d, g);
    }
    store(weights + d, w - g * learningRate);
  }
  for (; d < dim; ++d) {
    float g = weights[d] * weightDecay;
    if constexpr (kGradient) g = gradient[d] + g;
    if constexpr (kMomentum) {
      g = momentum[d] * mu + g;
      momentum[d] = g;
    }
    weights[d] = weights[d] - g * learningRate;
  }
}

void sgdRow(const float* gradient, float* weights, float* momentum, int64_t dim, float learningRate, float mu,
            float weightDecay) {
  if (gradient && momentum) return sgd<true, true>(gradient, weights, momentum, dim, learningRate, mu, weightDecay);
  if (gradient) return sgd<true, false>(gradient, weights, momentum, dim, learningRate, mu, weightDecay);
  if (momentum) return sgd<false, true>(gradient, weights, momentum, dim, learningRate, mu, weightDecay);
  sgd<false, false>(gradient, weights, momentum, dim, learningRate, mu, weightDecay);
}

float sumSquares(const float* x, int64_t dim) {
  Vec sum0 = {}, sum1 = {};
  int64_t d = 0;
  for (; d + kPanel <= dim; d += kPanel) {
    const Vec a = load(x + d), b = load(x + d + kLanes);
    sum0 += a * a;
    sum1 += b * b;
  }
  float sum = sumLanes(sum0 + sum1);
  for (; d < dim; ++d) sum += x[d] * x[d];
  return sum;
}

constexpr KernelTable makeKernelTable(const char* name) {
  return {name,         kPanel,         multiply,     multiplyTransposed,
          packRows,     packTransposed, exponentiate, exponentiateMaximum,
          sumRows,      negativeTerms,  projectRow,   addRow,
          readRow,      sgdRow,         adamwRow,     sumSquares,
          exponentialOf};
}

}  // namespace
}  // namespace hyperarc::cpu
