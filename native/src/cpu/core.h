// What the objects of one CPU engine share: kernels, threads, and how a problem is cut into blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/memory.h"
#include "cpu/thread_pool.h"
#include "hyperarc/types.h"

namespace hyperarc::cpu {

/// How a problem is cut. A function of its shape and of the instruction set alone, never of the thread count: the cuts
/// decide the order of sums.
struct Blocking {
  Blocking(const KernelTable& kernels, int64_t subCenters, int64_t dim);

  int64_t panel;
  int64_t dim;
  int64_t dimPadded;        // D rounded up to whole panels
  int64_t classesPerBlock;  // a block of classes and what is computed from it stay in L2
  int64_t rowsPerBlock;     // classesPerBlock·K
  int64_t samplesPerBlock;  // a multiple of the panel

  int64_t padded(int64_t count) const { return (count + panel - 1) / panel * panel; }
  int64_t blocks(int64_t classes) const { return (classes + classesPerBlock - 1) / classesPerBlock; }
  /// Pieces of pass 1 that sum U and l on their own; their results are added in order.
  int64_t chunks(int64_t classes) const;
  /// Samples of one sweep over the classes in pass 1, rows of a partial U.
  int64_t sweepSamples(int64_t batch) const { return batch < samplesPerBlock ? batch : samplesPerBlock; }
};

/// One thread's buffers for a block of classes.
struct BlockScratch {
  explicit BlockScratch(const Blocking& blocking);
  static int64_t bytes(const Blocking& blocking);

  FloatArray unitRows;      // ŵ of the block, panels [rows × D]
  FloatArray scores;        // cosines, then softmax terms, panels [rows × samples]
  FloatArray gradientRows;  // dŴ of the block, panels [rows × D]
  FloatArray row;           // one row of dW
  std::vector<const float*> weightRows;
  std::vector<float> inverseNorms;
};

struct Core {
  Core(const KernelTable& table, int threads, DeviceInfo info)
      : kernels(table), pool(threads), device(std::move(info)) {}
  const KernelTable& kernels;
  ThreadPool pool;
  DeviceInfo device;
};

/// 1/‖x‖, 0 for a vector that counts as zero (docs/numerics.md, "Unit vectors").
float inverseNorm(const KernelTable& kernels, const float* x, int64_t dim);

}  // namespace hyperarc::cpu
