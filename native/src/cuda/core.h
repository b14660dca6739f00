// What the objects of one CUDA engine share: its device, two streams with their scratch, staging, recycled memory, and
// what is known of its failure.
//
// Order of work. Forward passes run on one stream, everything that changes weights on the other. A forward call returns
// when its results are on the host, so the update stream never has to wait for it; the forward stream waits for the
// event `updated` before it touches anything. So memory that an update still reads may be given to a later forward.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/guard.h"
#include "dispatch/dispatch.h"
#include "runtime/device.h"
#include "runtime/scope.h"
#include "runtime/staging.h"
#include "runtime/stream.h"

namespace hyperarc::cuda {

/// Memory of one step: its arrays on the device, and what crosses to and from the host.
struct StepMemory {
  DeviceBuffer device;
  PinnedBuffer host;
};

class Core {
 public:
  /// On the current device. `table` must live longer. Throws CudaError.
  Core(const Device& device, Kernels kernels, KernelTable table);

  /// Runs a call's `body` (returning Status) on the engine's device. What is thrown becomes a Status. A failure that
  /// lasts is remembered: this call reports it, the later ones refuse. Failures of work that earlier calls enqueued are
  /// reported by the next. Where memory is short the recycled one is given back, and `body` is run again: it must not
  /// have changed anything by then.
  template <typename Body>
  Status run(const char* what, Body body) noexcept;

  /// Recycled or fresh. Throws CudaError.
  StepMemory takeStep(int64_t deviceBytes, int64_t hostBytes);
  void recycle(StepMemory memory);

  /// Of a line that this build has. Throws CudaError.
  Passes& passes(const KernelRow& row);

  const Device device;
  const Kernels kernels;  // asked for
  const KernelTable table;
  Stream forwardStream;
  Stream updateStream;
  StreamWorkspace forwardScratch{forwardStream};  // of the passes
  StreamWorkspace updateScratch{updateStream};
  StreamWorkspace forwardArena{forwardStream};  // of the engine: samples, cosines
  StreamWorkspace updateArena{updateStream};    // several steps in a row, rows on their way
  Staging forwardStaging;
  Staging updateStaging;
  RowStaging rowStaging;
  Event updated;  // latest work on the update stream

 private:
  Status refusal(const char* what) const;
  Status failed(const char* what, const CudaError& error) noexcept;
  /// Whether there was any.
  bool releaseRecycled();

  std::vector<StepMemory> recycled_;
  std::map<std::pair<Kernels, int32_t>, std::unique_ptr<Passes>> passes_;
  std::string failure_;
};

template <typename Body>
Status Core::run(const char* what, Body body) noexcept {
  if (!failure_.empty()) return refusal(what);
  return guarded(what, [&]() -> Status {
    try {
      const DeviceScope scope(device.index);
      try {
        updateStream.poll();
        return body();
      } catch (const CudaError& error) {
        if (error.isLasting()) throw;
        forwardStream.drain();
        if (error.code() != StatusCode::kMemory || !releaseRecycled()) throw;
        return body();
      }
    } catch (const CudaError& error) {
      return failed(what, error);
    }
  });
}

}  // namespace hyperarc::cuda
