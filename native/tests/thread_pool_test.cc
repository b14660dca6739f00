#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace hyperarc::cpu {
namespace {

TEST(ThreadPool, RunsEveryItemOnceWhateverTheSizes) {
  for (int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t items : {0, 1, 2, 5, 1000}) {
      for (int repeat = 0; repeat < 20; ++repeat) {
        std::vector<int> runs(items);  // each item writes its own element, without a lock
        std::vector<int64_t> byWorker(threads);
        pool.parallelFor(items, [&](int64_t item, int worker) {
          ++runs[item];
          ++byWorker[worker];
        });
        EXPECT_EQ(runs, std::vector<int>(items, 1));
        EXPECT_EQ(std::accumulate(byWorker.begin(), byWorker.end(), int64_t{0}), items);
      }
    }
  }
}

TEST(ThreadPool, PoolsAreIndependent) {
  ThreadPool a(3), b(2);
  int64_t sums[8] = {};
  a.parallelFor(8, [&](int64_t item, int) { sums[item] = item; });
  b.parallelFor(8, [&](int64_t item, int) { sums[item] *= 2; });
  EXPECT_EQ(std::accumulate(sums, sums + 8, int64_t{0}), 56);
}

}  // namespace
}  // namespace hyperarc::cpu
