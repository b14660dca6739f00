#include "work.h"

#include <algorithm>
#include <map>

#include "emulator/language.h"

namespace hyperarc::emulator {
namespace {

constexpr uint64_t kFirstState = 0x9E3779B97F4A7C15u;

struct Queues {
  std::map<int, Stream*> defaults;
  std::vector<std::unique_ptr<Stream>> streams;
  std::map<int, cudaError_t> errors;
  uint64_t nextSequence = 1;
  uint64_t randomState = kFirstState;
};

Queues& queues() {
  static Queues* all = new Queues;  // outlives static destructors that free CUDA objects
  return *all;
}

uint32_t random(uint64_t schedule, uint32_t limit) {
  uint64_t& state = queues().randomState;
  state ^= schedule * 0xD1B54A32D192ED03u;
  state = state == 0 ? 1 : state;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>((state >> 32) * limit >> 32);
}

void dropWork(int device) {
  for (const std::unique_ptr<Stream>& stream : queues().streams) {
    if (stream->device != device) continue;
    for (const Work& work : stream->queue) {
      if (work.completes != nullptr) work.completes->isDone = true;
    }
    stream->queue.clear();
  }
}

/// The stream that must get on before the head of `stream` can run; `stream` itself when nothing holds it up.
Stream* heldUpBy(Stream* stream) {
  const Work& head = stream->queue.front();
  if (head.waitsFor != nullptr && !head.waitsFor->isDone) return head.waitsFor->stream;
  // Legacy default stream: its work waits for all earlier work of blocking streams, and they for its.
  if (!stream->isDefault && !stream->isBlocking) return stream;
  for (const std::unique_ptr<Stream>& other : queues().streams) {
    if (other.get() == stream || other->device != stream->device || other->queue.empty()) continue;
    const bool isOrdered = stream->isDefault ? other->isBlocking : other->isDefault;
    if (isOrdered && other->queue.front().sequence < head.sequence) return other.get();
  }
  return stream;
}

void runHead(Stream* stream) {
  Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  const cudaError_t error = work.run ? work.run() : cudaSuccess;
  if (work.completes != nullptr) {
    work.completes->time = std::chrono::steady_clock::now();
    work.completes->isDone = true;
  }
  if (error == cudaSuccess) return;
  queues().errors[stream->device] = error;
  dropWork(stream->device);
}

/// Destroyed streams go when they are empty.
void sweep() {
  std::erase_if(queues().streams,
                [](const std::unique_ptr<Stream>& stream) { return stream->isDestroyed && stream->queue.empty(); });
}

std::vector<Stream*> readyStreams(const Stream* except) {
  std::vector<Stream*> ready;
  for (const std::unique_ptr<Stream>& stream : queues().streams) {
    if (stream.get() != except && !stream->queue.empty() && heldUpBy(stream.get()) == stream.get())
      ready.push_back(stream.get());
  }
  return ready;
}

/// Without a seed: only what the target needs, so that all else is as late as can be. With one: that, or any order that
/// CUDA allows, or everything else first.
template <typename IsDone>
void runUntil(Stream* target, uint64_t schedule, IsDone isDone) {
  const uint32_t manner = schedule == 0 ? 0 : random(schedule, 3);
  while (!isDone()) {
    if (manner > 0) {
      const std::vector<Stream*> ready = readyStreams(manner == 2 ? target : nullptr);
      if (!ready.empty()) {
        runHead(ready[random(schedule, static_cast<uint32_t>(ready.size()))]);
        continue;
      }
    }
    advance(target);
  }
  sweep();
}

}  // namespace

Stream* createStream(int device, bool isBlocking) {
  queues().streams.push_back(std::make_unique<Stream>(Stream{device, false, isBlocking, false, {}}));
  return queues().streams.back().get();
}

Stream* defaultStream(int device) {
  Stream*& stream = queues().defaults[device];
  if (stream == nullptr) {
    stream = createStream(device, false);
    stream->isDefault = true;
  }
  return stream;
}

void destroyStream(Stream* stream) {
  stream->isDestroyed = true;
  sweep();
}

bool isStream(const Stream* stream) {
  return std::any_of(queues().streams.begin(), queues().streams.end(),
                     [stream](const auto& known) { return known.get() == stream && !known->isDestroyed; });
}

void enqueue(Stream* stream, Work work) {
  work.sequence = queues().nextSequence++;
  stream->queue.push_back(std::move(work));
}

void advance(Stream* stream) {
  if (stream->queue.empty()) return;
  for (Stream* holder = heldUpBy(stream); holder != stream; holder = heldUpBy(stream)) stream = holder;
  runHead(stream);
}

void finishStream(Stream* stream, uint64_t schedule) {
  runUntil(stream, schedule, [stream] { return stream->queue.empty(); });
}

void finishRecord(const std::shared_ptr<EventRecord>& record, uint64_t schedule) {
  if (!record->isDone) runUntil(record->stream, schedule, [&record] { return record->isDone; });
}

void finishDevice(int device, uint64_t schedule) {
  std::vector<Stream*> busy;
  while (true) {
    busy.clear();
    for (const std::unique_ptr<Stream>& stream : queues().streams) {
      if (stream->device == device && !stream->queue.empty()) busy.push_back(stream.get());
    }
    if (busy.empty()) return;
    finishStream(schedule == 0 ? busy.back() : busy[random(schedule, static_cast<uint32_t>(busy.size()))], schedule);
  }
}

cudaError_t deviceError(int device) {
  const auto found = queues().errors.find(device);
  return found == queues().errors.end() ? cudaSuccess : found->second;
}

void resetDevice(int device) {
  dropWork(device);
  queues().errors.erase(device);
  sweep();
}

void restartTurns() { queues().randomState = kFirstState; }

}  // namespace hyperarc::emulator
