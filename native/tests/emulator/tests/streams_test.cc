// When queued work runs: late, in stream order, held by events and the default stream, and otherwise in any order.
#include <set>
#include <thread>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

struct Streams {
  explicit Streams(unsigned flags = cudaStreamNonBlocking) {
    EXPECT_EQ(cudaStreamCreateWithFlags(&a, flags), cudaSuccess);
    EXPECT_EQ(cudaStreamCreateWithPriority(&b, flags, -1), cudaSuccess);
    EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  }
  ~Streams() {
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    cudaEventDestroy(event);
  }
  cudaStream_t a = nullptr, b = nullptr;
  cudaEvent_t event = nullptr;
};

void note(std::string* log, char mark, cudaStream_t stream) {
  ASSERT_EQ(launch("note", 1, 1, 0, stream, [log, mark] { log->push_back(mark); }), cudaSuccess);
}

TEST(Streams, NothingRunsBeforeTheHostWaits) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    Streams streams;
    std::string log;
    note(&log, '1', streams.a);
    note(&log, '2', streams.a);
    note(&log, '3', streams.a);
    EXPECT_EQ(log, "");
    EXPECT_EQ(cudaStreamSynchronize(streams.a), cudaSuccess);
    EXPECT_EQ(log, "123");
  }
}

TEST(Streams, WithoutASeedOnlyTheNeededWorkRuns) {
  Streams streams;
  std::string log;
  note(&log, 'b', streams.b);
  EXPECT_EQ(cudaEventRecord(streams.event, streams.b), cudaSuccess);
  note(&log, 'x', streams.b);  // after the event
  note(&log, 'a', streams.a);
  EXPECT_EQ(cudaStreamWaitEvent(streams.a, streams.event), cudaSuccess);
  note(&log, 'A', streams.a);
  EXPECT_EQ(cudaStreamSynchronize(streams.a), cudaSuccess);
  EXPECT_EQ(log, "abA");
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(log, "abAx");
}

TEST(Streams, SeedsFindEveryOrderThatEventsAllow) {
  std::set<std::string> orders;
  for (int seed = 0; seed < 60; ++seed) {
    const ScopedSetting setting("SCHEDULE", std::to_string(seed));
    Streams streams;
    std::string log;
    note(&log, 'a', streams.a);
    EXPECT_EQ(cudaEventRecord(streams.event, streams.a), cudaSuccess);
    note(&log, 'A', streams.a);
    note(&log, 'b', streams.b);
    EXPECT_EQ(cudaStreamWaitEvent(streams.b, streams.event), cudaSuccess);
    note(&log, 'B', streams.b);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_LT(log.find('a'), log.find('A'));
    EXPECT_LT(log.find('b'), log.find('B'));
    EXPECT_LT(log.find('a'), log.find('B'));
    orders.insert(log);
  }
  // Of the 6 interleavings of (a A) and (b B), the event forbids the one in which B comes before a.
  EXPECT_EQ(orders, (std::set<std::string>{"aAbB", "abAB", "abBA", "baAB", "baBA"}));
}

TEST(Streams, AWaitSeesTheRecordThatWasThere) {
  Streams streams;
  std::string log;
  EXPECT_EQ(cudaStreamWaitEvent(streams.b, streams.event), cudaSuccess);  // never recorded: no wait
  note(&log, 'b', streams.b);
  note(&log, '1', streams.a);
  EXPECT_EQ(cudaEventRecord(streams.event, streams.a), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(streams.b, streams.event), cudaSuccess);
  note(&log, '2', streams.a);
  EXPECT_EQ(cudaEventRecord(streams.event, streams.a), cudaSuccess);  // later: not what b waits for
  note(&log, 'B', streams.b);
  EXPECT_EQ(cudaStreamSynchronize(streams.b), cudaSuccess);
  EXPECT_EQ(log, "b1B");
  EXPECT_EQ(cudaEventSynchronize(streams.event), cudaSuccess);
  EXPECT_EQ(log, "b1B2");
}

TEST(Streams, TheDefaultStreamOrdersBlockingStreamsAlone) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    Streams blocking(cudaStreamDefault);
    std::string log;
    note(&log, 'a', blocking.a);
    note(&log, '0', nullptr);
    note(&log, 'b', blocking.b);
    EXPECT_EQ(cudaStreamSynchronize(blocking.b), cudaSuccess);
    EXPECT_EQ(log, "a0b");
  }
  Streams free;
  std::string log;
  note(&log, 'a', free.a);
  note(&log, '0', nullptr);
  note(&log, 'b', free.b);
  EXPECT_EQ(cudaStreamSynchronize(free.b), cudaSuccess);
  EXPECT_EQ(log, "b");
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(log, "b0");
}

TEST(Streams, QueriesSayNotReadyAndTimePasses) {
  Streams streams;
  std::string log;
  note(&log, '1', streams.a);
  EXPECT_EQ(cudaEventRecord(streams.event, streams.a), cudaSuccess);
  note(&log, '2', streams.a);
  EXPECT_EQ(cudaEventQuery(streams.event), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  int queries = 0;
  while (cudaEventQuery(streams.event) == cudaErrorNotReady) ASSERT_LT(++queries, 10);
  EXPECT_EQ(log, "1");
  while (cudaStreamQuery(streams.a) == cudaErrorNotReady) ASSERT_LT(++queries, 10);
  EXPECT_EQ(log, "12");
  cudaGetLastError();
}

TEST(Streams, ADestroyedStreamsWorkIsStillDone) {
  std::string log;
  cudaStream_t stream;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  note(&log, '1', stream);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(log, "1");
}

TEST(Streams, HostFunctionsRunInOrderAndMayNotCallCuda) {
  Streams streams;
  struct Seen {
    std::string log;
    cudaError_t error = cudaSuccess;
  } seen;
  note(&seen.log, '1', streams.a);
  EXPECT_EQ(cudaLaunchHostFunc(
                streams.a,
                [](void* data) {
                  static_cast<Seen*>(data)->log.push_back('h');
                  static_cast<Seen*>(data)->error = cudaDeviceSynchronize();
                },
                &seen),
            cudaSuccess);
  note(&seen.log, '2', streams.a);
  EXPECT_EQ(cudaStreamSynchronize(streams.a), cudaSuccess);
  EXPECT_EQ(seen.log, "1h2");
  EXPECT_EQ(seen.error, cudaErrorNotPermitted);
  cudaGetLastError();
}

TEST(Streams, EventsTellTime) {
  cudaEvent_t start, end;
  ASSERT_EQ(cudaEventCreate(&start), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
  ASSERT_EQ(cudaEventRecord(start), cudaSuccess);
  runKernel(1, 1, 0, [] { std::this_thread::sleep_for(std::chrono::milliseconds(3)); });
  ASSERT_EQ(cudaEventRecord(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  ASSERT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 3.0f);
  cudaEventDestroy(start);
  EXPECT_EQ(cudaEventRecord(start), cudaErrorInvalidResourceHandle);
  cudaEventDestroy(end);
  cudaGetLastError();
}

TEST(Streams, HostThreadsMayWorkAtOnce) {
  std::vector<std::thread> threads;
  std::vector<int> sums(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &sums] {
      cudaStream_t stream;
      EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(launch("add", 2, 64, 0, stream,
                         [t, &sums] {
                           __syncthreads();
                           atomicAdd(&sums[t], 1);
                         }),
                  cudaSuccess);
        if (i % 7 == 0) {
          EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        }
      }
      EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sums, std::vector<int>(4, 50 * 128));
}

}  // namespace
}  // namespace hyperarc::emulator
