// Device arrays and class centres for tests of the CUDA kernels one by one: on a GPU, or in the host harness.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cuda_device_array.h"
#include "kernels/kernels.h"
#include "passes.h"
#include "reference.h"
#include "runtime/device.h"
#include "views.h"

namespace hyperarc::test {

/// Hands out what is asked for, and remembers the largest request.
class TestWorkspace final : public cuda::Workspace {
 public:
  ~TestWorkspace() override { cudaFree(memory_); }
  void* take(int64_t bytes) override {
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    cudaFree(memory_);
    EXPECT_EQ(cudaMalloc(&memory_, std::max<size_t>(static_cast<size_t>(bytes), 1)), cudaSuccess);
    EXPECT_EQ(cudaMemset(memory_, 0xff, static_cast<size_t>(bytes)), cudaSuccess);
    largest = std::max(largest, bytes);
    return memory_;
  }
  int64_t largest = 0;

 private:
  void* memory_ = nullptr;
};

inline float widened(cuda::Bf16 value) { return cuda::toFloat(value); }

/// bf16 rows [rows, Dp] of fp32 rows [rows, D], padding zero.
inline std::vector<cuda::Bf16> narrowed(const std::vector<float>& rows, int64_t dim) {
  const int64_t padded = cuda::paddedDim(static_cast<int32_t>(dim));
  std::vector<cuda::Bf16> out(rows.size() / dim * padded, cuda::Bf16{0});
  for (size_t n = 0; n < rows.size(); ++n) out[n / dim * padded + n % dim] = cuda::toBf16(rows[n]);
  return out;
}

/// fp32 rows [rows, D] of bf16 rows [rows, Dp]; fails where padding is not zero.
inline std::vector<float> widenedRows(const std::vector<cuda::Bf16>& rows, int64_t dim) {
  const int64_t padded = cuda::paddedDim(static_cast<int32_t>(dim));
  std::vector<float> out;
  for (size_t n = 0; n < rows.size(); ++n) {
    if (static_cast<int64_t>(n % padded) < dim) {
      out.push_back(widened(rows[n]));
    } else {
      EXPECT_EQ(rows[n].bits, 0) << "padding at " << n;
    }
  }
  return out;
}

/// Class centres on the device with the values of a problem: weights and momentum, norms and copies refreshed.
class DeviceCenters {
 public:
  DeviceCenters(const Problem& p, Precision precision, bool hasMomentum = true, int64_t firstGlobalRow = 0)
      : dim(p.dim),
        isMaster(precision == Precision::kBf16Master),
        weights(isMaster ? 0 : p.rows() * p.dim),
        momentum(isMaster || !hasMomentum ? 0 : p.rows() * p.dim),
        weightsBf16(precision == Precision::kFp32 ? 0 : p.rows() * cuda::paddedDim(static_cast<int32_t>(p.dim))),
        momentumBf16(isMaster && hasMomentum ? weightsBf16.size() : 0),
        inverseNorms(p.rows()) {
    view = {.precision = precision,
            .rows = p.rows(),
            .firstGlobalRow = firstGlobalRow,
            .subCenters = static_cast<int32_t>(p.subCenters),
            .dim = static_cast<int32_t>(p.dim),
            .dimPadded = cuda::paddedDim(static_cast<int32_t>(p.dim)),
            .weights = weights.get(),
            .momentum = momentum.get(),
            .weightsBf16 = weightsBf16.get(),
            .momentumBf16 = momentumBf16.get(),
            .inverseNorms = inverseNorms.get()};
    if (isMaster) {
      weightsBf16.set(narrowed(p.weightsRD, dim));
      if (hasMomentum) momentumBf16.set(narrowed(p.momentumRD, dim));
    } else {
      weights.set(p.weightsRD);
      if (hasMomentum) momentum.set(p.momentumRD);
    }
    cuda::launchRefreshRows(view, 0, view.rows, nullptr);
  }

  /// The master's values.
  std::vector<float> weightRows() const { return isMaster ? widenedRows(weightsBf16.toHost(), dim) : weights.toHost(); }
  std::vector<float> momentumRows() const {
    return isMaster ? widenedRows(momentumBf16.toHost(), dim) : momentum.toHost();
  }
  /// What the passes multiply.
  std::vector<float> operandRows() const {
    return view.precision == Precision::kFp32 ? weights.toHost() : widenedRows(weightsBf16.toHost(), dim);
  }

  int64_t dim;
  bool isMaster;
  DeviceArray<float> weights, momentum;
  DeviceArray<cuda::Bf16> weightsBf16, momentumBf16;
  DeviceArray<float> inverseNorms;
  cuda::CentersView view;
};

/// Exact 1/‖row‖ in double, 0 for a zero row.
inline double exactInverseNorm(const float* row, int64_t dim) {
  double squares = 0.0;
  for (int64_t d = 0; d < dim; ++d) squares += double(row[d]) * double(row[d]);
  return std::sqrt(squares) < 1e-12 ? 0.0 : 1.0 / std::sqrt(squares);
}

/// A GPU or the harness is there; else the test is skipped.
#define HYPERARC_NEEDS_DEVICE()                                                                        \
  do {                                                                                                 \
    int devices = 0;                                                                                   \
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device"; \
  } while (false)

}  // namespace hyperarc::test
