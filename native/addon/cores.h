// What stands behind the JavaScript objects: engine objects with the locks and counters that make them safe to reach
// from the JavaScript thread, the device thread and TensorFlow's threads. Knows nothing of napi.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "device_thread.h"
#include "hyperarc/engine.h"

namespace hyperarc::addon {

struct EngineCore {
  EngineCore(std::unique_ptr<Engine> engine, std::shared_ptr<DeviceThread> thread);
  ~EngineCore();

  std::unique_ptr<Engine> engine;
  // Without asking the device for its free memory, which takes as long as a small step.
  const DeviceKind kind;
  const int32_t index;
  std::shared_ptr<DeviceThread> thread;
  /// Held by whoever runs anything on this engine or its objects: the engine's thread contract is one at a time.
  std::mutex use;
};

struct CentersCore {
  CentersCore(std::shared_ptr<EngineCore> engine, std::unique_ptr<ClassCenters> centers);
  ~CentersCore();
  /// Copies what JavaScript may read while an operation runs. Call with `use` held.
  void refresh();

  const int64_t id;
  const std::shared_ptr<EngineCore> engine;
  std::unique_ptr<ClassCenters> centers;
  /// Asynchronous operations called and not yet settled; changed on the JavaScript thread.
  std::atomic<int> inFlight{0};
  std::atomic<int64_t> bytes{0};
  std::atomic<uint64_t> weightsVersion{0};
  std::atomic<uint64_t> updates{0};
};

/// How far the forward pass that fills a step has come.
enum class Stage : int { kEmpty = 0, kTargetTerms = 1, kNegativeSums = 2, kReady = 3 };

struct StepCore {
  explicit StepCore(std::shared_ptr<EngineCore> engine);
  ~StepCore();
  void refresh();

  const int64_t id;
  const std::shared_ptr<EngineCore> engine;
  std::unique_ptr<Step> step;
  std::atomic<Stage> stage{Stage::kEmpty};
  /// Id of the centres whose forward pass filled it.
  std::atomic<int64_t> centersId{0};
  std::atomic<int> inFlight{0};
  std::atomic<int64_t> batch{0};
  std::atomic<int64_t> bytes{0};
};

/// Makes the objects findable by id (hyperarc/registry.h) until they are withdrawn or die.
void registerCenters(const std::shared_ptr<CentersCore>& centers);
void registerStep(const std::shared_ptr<StepCore>& step);
void withdraw(int64_t id);

// ---- The operations, with the checks that need engine objects. Call with `use` held.

/// Fills `step`; after a failure it is empty.
Status runForward(CentersCore& centers, StepCore& step, const Batch& batch);
Status runTargetTerms(CentersCore& centers, StepCore& step, const Batch& batch);
Status runNegativeSums(CentersCore& centers, StepCore& step);
Status runFinishForward(CentersCore& centers, StepCore& step);
/// The first stage alone: cos θ to each sample's own centre [B]. No step remembers it.
Status runTargetCosines(CentersCore& centers, const Batch& batch, float* cosinesB);
Status runUpdate(CentersCore& centers, std::span<const std::shared_ptr<StepCore>> steps, const UpdateOptions& options);
Status runGradients(CentersCore& centers, std::span<const std::shared_ptr<StepCore>> steps, float* gradientCKD);

}  // namespace hyperarc::addon
