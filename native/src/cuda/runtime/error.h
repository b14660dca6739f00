// CUDA errors inside the engine are exceptions; the public API turns them into a Status (cuda/guard.h).
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "hyperarc/status.h"

namespace hyperarc::cuda {

class CudaError : public std::runtime_error {
 public:
  CudaError(StatusCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  StatusCode code() const { return code_; }

 private:
  StatusCode code_;
};

/// Throws CudaError naming `what` (an operation, or a kernel). kMemory for cudaErrorMemoryAllocation, else kDevice; an
/// error that leaves the context unusable is remembered by the engine (sticky).
void check(cudaError_t error, const char* what);

}  // namespace hyperarc::cuda
