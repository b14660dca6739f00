// Which kernels a stream was given since it was last known to be done: an error that surfaces later has a name then.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace hyperarc::cuda {

/// One log for all streams of the process; safe from any thread. Names must be string literals.
class LaunchLog {
 public:
  /// Notes a kernel; does nothing for a stream that is not watched.
  static void add(cudaStream_t stream, const char* kernel);
  static void watch(cudaStream_t stream);
  static void forget(cudaStream_t stream);
  /// Everything enqueued so far has run.
  static void clear(cudaStream_t stream);
  /// "mma pass 2, decay" in order of launch, each name once; empty if none.
  static std::string kernels(cudaStream_t stream);
};

}  // namespace hyperarc::cuda
