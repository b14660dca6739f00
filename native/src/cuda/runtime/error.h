// CUDA errors inside the engine are exceptions; the public API turns them into a Status (cuda/core.h).
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "hyperarc/status.h"

namespace hyperarc::cuda {

class CudaError : public std::runtime_error {
 public:
  CudaError(StatusCode code, const std::string& message, bool isLasting = false)
      : std::runtime_error(message), code_(code), isLasting_(isLasting) {}
  StatusCode code() const { return code_; }
  /// What is on the device can no longer be relied on: the engine remembers it and refuses later calls.
  bool isLasting() const { return isLasting_; }

 private:
  StatusCode code_;
  bool isLasting_;
};

/// Throws CudaError naming `what` (an operation, or a kernel). kMemory for cudaErrorMemoryAllocation, which passes;
/// else kDevice, lasting.
void check(cudaError_t error, const char* what);

/// For an error that has nobody to report to, or that is none. It is taken from the runtime all the same, which would
/// give it to the thread's next launch as its own, on whatever device that is.
void ignore(cudaError_t error) noexcept;

}  // namespace hyperarc::cuda
