// A program runs many tests: each begins the seed's order anew, so that one which fails does so alone too.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

namespace hyperarc::emulator {
namespace {

class RestartTurns final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { restartTurns(); }
};

[[maybe_unused]] const bool isListening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new RestartTurns);  // GoogleTest's from here on
  return true;
}();

}  // namespace
}  // namespace hyperarc::emulator
