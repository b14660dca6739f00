// Shuffles, votes and reductions against PTX ISA "shfl.sync", "vote.sync", "match.sync", "redux.sync".
#include <bit>
#include <cstdint>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

constexpr unsigned kAll = 0xffffffffu;

template <typename T>
std::vector<T> onWarp(const std::function<T(int)>& body) {
  std::vector<T> results(32);
  runWarp([&](int lane) { results[lane] = body(lane); });
  return results;
}

class ShuffleWidth : public testing::TestWithParam<int> {};

// PTX ISA, "shfl.sync", pseudo-code: bval the operand, segment mask and clamp from the width.
struct Source {
  int lane;
  bool inRange;
};
Source specified(char mode, int lane, int operand, int width) {
  const int segmentMask = 0x1f & ~(width - 1);
  const int clamp = mode == 'u' ? 0 : width - 1;
  const int maxLane = (lane & segmentMask) | (clamp & ~segmentMask);
  const int minLane = lane & segmentMask;
  switch (mode) {
    case 'u':
      return {lane - operand, lane - operand >= maxLane};
    case 'd':
      return {lane + operand, lane + operand <= maxLane};
    case 'x':
      return {lane ^ operand, (lane ^ operand) <= maxLane};
    default:
      return {minLane | (operand & ~segmentMask), (minLane | (operand & ~segmentMask)) <= maxLane};
  }
}

TEST_P(ShuffleWidth, FollowsTheSpecificationForEveryOperand) {
  const int width = GetParam();
  for (int operand = 0; operand < 32; ++operand) {
    const auto up = onWarp<int>([=](int lane) { return __shfl_up_sync(kAll, 100 + lane, operand, width); });
    const auto down = onWarp<int>([=](int lane) { return __shfl_down_sync(kAll, 100 + lane, operand, width); });
    const auto exclusive = onWarp<int>([=](int lane) { return __shfl_xor_sync(kAll, 100 + lane, operand, width); });
    const auto indexed = onWarp<int>([=](int lane) { return __shfl_sync(kAll, 100 + lane, operand, width); });
    for (int lane = 0; lane < 32; ++lane) {
      const auto expected = [&](char mode) {
        const Source source = specified(mode, lane, operand, width);
        return 100 + (source.inRange ? source.lane : lane);
      };
      ASSERT_EQ(up[lane], expected('u')) << "up " << operand << ", lane " << lane;
      ASSERT_EQ(down[lane], expected('d')) << "down " << operand << ", lane " << lane;
      ASSERT_EQ(exclusive[lane], expected('x')) << "xor " << operand << ", lane " << lane;
      ASSERT_EQ(indexed[lane], expected('i')) << "index " << operand << ", lane " << lane;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, ShuffleWidth, testing::Values(1, 2, 4, 8, 16, 32));

TEST(WarpFunctions, ShufflesCarryEveryType) {
  EXPECT_EQ(onWarp<float>([](int lane) { return __shfl_sync(kAll, lane * 0.5f, 7); })[3], 3.5f);
  EXPECT_EQ(onWarp<double>([](int lane) { return __shfl_sync(kAll, lane * 1e300, 7); })[3], 7e300);
  EXPECT_EQ(onWarp<unsigned>([](int lane) { return __shfl_sync(kAll, 0xfffffff0u + lane, 7); })[3], 0xfffffff7u);
  EXPECT_EQ(onWarp<long long>([](int lane) { return __shfl_sync(kAll, -(1LL << 40) - lane, 7); })[3], -(1LL << 40) - 7);
  EXPECT_EQ(onWarp<unsigned long long>([](int lane) { return __shfl_sync(kAll, (1ULL << 63) + lane, 7); })[3],
            (1ULL << 63) + 7);
}

TEST(WarpFunctions, ButterflySumIsTheSame) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    const auto sums = onWarp<int>([](int lane) {
      int sum = lane;
      for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAll, sum, offset);
      return sum;
    });
    EXPECT_EQ(sums, std::vector<int>(32, 31 * 32 / 2));
  }
}

TEST(WarpFunctions, VotesSeeEveryLane) {
  EXPECT_EQ(onWarp<unsigned>([](int lane) { return __ballot_sync(kAll, lane % 3 == 0 ? 5 : 0); }),
            std::vector<unsigned>(32, 0x49249249u));
  EXPECT_EQ(onWarp<int>([](int lane) { return __any_sync(kAll, lane == 31); }), std::vector<int>(32, 1));
  EXPECT_EQ(onWarp<int>([](int) { return __any_sync(kAll, 0); }), std::vector<int>(32, 0));
  EXPECT_EQ(onWarp<int>([](int lane) { return __all_sync(kAll, lane != 31); }), std::vector<int>(32, 0));
  EXPECT_EQ(onWarp<int>([](int) { return __all_sync(kAll, -1); }), std::vector<int>(32, 1));
}

TEST(WarpFunctions, MasksLetPartsOfAWarpWorkApart) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    const auto sums = onWarp<int>([](int lane) {
      const unsigned mask = lane < 8 ? 0x000000ffu : 0xffffff00u;
      if (lane >= 8) return static_cast<int>(__ballot_sync(mask, 1));
      int sum = lane;
      for (int offset = 4; offset > 0; offset /= 2) sum += __shfl_xor_sync(mask, sum, offset, 8);
      __syncwarp(mask);
      return sum;
    });
    for (int lane = 0; lane < 32; ++lane) EXPECT_EQ(sums[lane], lane < 8 ? 28 : static_cast<int>(0xffffff00u));
  }
}

TEST(WarpFunctions, MatchFindsEqualValues) {
  const auto masks = onWarp<unsigned>([](int lane) { return __match_any_sync(kAll, lane % 4); });
  for (int lane = 0; lane < 32; ++lane) EXPECT_EQ(masks[lane], 0x11111111u << (lane % 4));
}

TEST(WarpFunctions, Reductions) {
  EXPECT_EQ(onWarp<int>([](int lane) { return __reduce_add_sync(kAll, lane - 16); })[5], -16);
  EXPECT_EQ(onWarp<int>([](int lane) { return __reduce_min_sync(kAll, lane - 16); })[5], -16);
  EXPECT_EQ(onWarp<int>([](int lane) { return __reduce_max_sync(kAll, lane - 40); })[5], -9);
  EXPECT_EQ(onWarp<unsigned>([](int lane) { return __reduce_min_sync(kAll, 0xfffffff0u - lane); })[5],
            0xfffffff0u - 31);
  EXPECT_EQ(onWarp<unsigned>([](int lane) { return __reduce_max_sync(kAll, 0xffffff00u + lane); })[5], 0xffffff1fu);
  EXPECT_EQ(onWarp<unsigned>([](int lane) { return __reduce_or_sync(kAll, 1u << lane); })[5], kAll);
  EXPECT_EQ(onWarp<unsigned>([](int lane) { return __reduce_and_sync(kAll, ~(1u << lane)); })[5], 0u);
  EXPECT_EQ(onWarp<unsigned>([](int) { return __reduce_xor_sync(kAll, 3u); })[5], 0u);
}

/// The compiler need not merge the two.
void shuffleOnTwoLines(int lane) {
  if (lane % 2 == 0) {
    __shfl_sync(kAll, lane, 0);
  } else {
    __shfl_sync(kAll, lane, 0);
  }
}

TEST(WarpFunctionsDeathTest, EveryNamedLaneMustCall) {
  EXPECT_DEATH(runWarp([](int lane) {
                 if (lane < 31) __syncwarp();
               }),
               "__syncwarp.*lanes that have ended|ends while lane .* waits for it");
  EXPECT_DEATH(runWarp([](int lane) {
                 if (lane < 31) {
                   __shfl_sync(kAll, lane, 0);
                 } else {
                   __ballot_sync(kAll, 1);
                 }
               }),
               "calls __ballot_sync .* lane 0 waits at __shfl_sync");
  EXPECT_DEATH(runWarp(shuffleOnTwoLines), "calls __shfl_sync .* waits at __shfl_sync");
  EXPECT_DEATH(runWarp([](int lane) { __shfl_sync(0x1u << (31 - lane), lane, 0); }),
               "names other lanes than the caller's");
  EXPECT_DEATH(runKernel(1, 20, 0, [] { __syncwarp(); }), "lanes that the block lacks");
  EXPECT_DEATH(runWarp([](int lane) {
                 if (lane < 4) __shfl_sync(0xfu, lane, 5);
               }),
               "shuffles from lane 5, which mask 0x0000000f does not name");
  EXPECT_DEATH(runWarp([](int lane) { __shfl_sync(kAll, lane, 0, 12); }), "shuffle of width 12");
}

TEST(WarpFunctionsDeathTest, LanesThatWaitForOneAnotherAreADeadlock) {
  EXPECT_DEATH(runWarp([](int lane) {
                 if (lane < 16) __syncwarp(kAll);
                 if (lane >= 16) __syncthreads();
               }),
               "deadlock.*\n.*16 threads wait at __syncthreads.*\n.*16 threads wait at __syncwarp");
}

}  // namespace
}  // namespace hyperarc::emulator
