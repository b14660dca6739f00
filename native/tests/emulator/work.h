// Streams, events and the work queued on them. Nothing runs when it is enqueued. When the host waits, work runs in an
// order that CUDA allows and a careless program does not expect: docs/testing-cuda.md, "When work runs".
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "emulator/runtime_api.h"

namespace hyperarc::emulator {

/// One cudaEventRecord. Done when the stream reached it.
struct EventRecord {
  Stream* stream;
  bool isDone = false;
  std::chrono::steady_clock::time_point time{};
};

struct Work {
  uint64_t sequence = 0;                     // order of enqueueing, over all streams
  std::function<cudaError_t()> run{};        // null for an event
  std::shared_ptr<EventRecord> waitsFor{};   // null but for cudaStreamWaitEvent
  std::shared_ptr<EventRecord> completes{};  // null but for cudaEventRecord
};

struct Stream {
  int device;
  bool isDefault;
  bool isBlocking;  // ordered against the default stream
  bool isDestroyed = false;
  std::deque<Work> queue;
};

struct Event {
  int device;
  bool isTimed;
  std::shared_ptr<EventRecord> latest;  // null until recorded
};

/// The default stream of a device, made at first use.
Stream* defaultStream(int device);
Stream* createStream(int device, bool isBlocking);
/// Work already queued is still done.
void destroyStream(Stream* stream);
bool isStream(const Stream* stream);

void enqueue(Stream* stream, Work work);

/// Run queued work until the stream is empty, the event has come, or no stream of the device has work left.
void finishStream(Stream* stream, uint64_t schedule);
void finishRecord(const std::shared_ptr<EventRecord>& record, uint64_t schedule);
void finishDevice(int device, uint64_t schedule);
/// Runs one piece of work that `stream` needs, if it has any left: what time does between two queries.
void advance(Stream* stream);

/// The error that made a device unusable, or cudaSuccess.
cudaError_t deviceError(int device);
/// Drops the device's work (all its events count as done) and forgets its error.
void resetDevice(int device);

}  // namespace hyperarc::emulator
