// What tests before it in the same program may have left is not there for a test.
#include "as_alone.h"

#include <string>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

TEST(AsAlone, SettingsAreThoseOfTheProgramsStart) {
  const char* schedule = std::getenv("HYPERARC_EMULATED_SCHEDULE");
  const std::string before = schedule == nullptr ? "" : schedule;
  setenv("HYPERARC_EMULATED_DEVICES", "2", 1);
  setenv("HYPERARC_EMULATED_SCHEDULE", "41", 1);
  beginAsAlone();
  EXPECT_EQ(std::getenv("HYPERARC_EMULATED_DEVICES"), nullptr);
  const char* after = std::getenv("HYPERARC_EMULATED_SCHEDULE");
  EXPECT_EQ(after == nullptr ? "" : std::string(after), before);
}

/// Which of many streams' work ran when, with a seed.
std::string orderOfStreams() {
  std::string order;
  cudaStream_t streams[8];
  for (cudaStream_t& stream : streams) EXPECT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(launch("note", 1, 1, 0, streams[i], [&order, i] { order += static_cast<char>('a' + i); }), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  for (cudaStream_t stream : streams) EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  return order;
}

TEST(AsAlone, StreamsTakeTheTurnsOfTheProgramsStart) {
  const ScopedSetting setting("SCHEDULE", "5");
  restartTurns();
  const std::string first = orderOfStreams(), second = orderOfStreams();
  EXPECT_NE(first, second);
  restartTurns();
  EXPECT_EQ(orderOfStreams(), first);
}

}  // namespace
}  // namespace hyperarc::emulator
