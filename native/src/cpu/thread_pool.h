// A small persistent thread pool: one job at a time, its work items taken in order by whichever thread is free. Which
// thread runs an item must not matter to the result; the engine's items are fixed by the problem's shape alone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hyperarc::cpu {

class ThreadPool {
 public:
  /// `threads` ≥ 1, the calling thread included. Throws std::system_error if a thread cannot be started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(item, worker) for every item in [0, items), worker in [0, threads()), and returns when all are done.
  /// The task must not throw. Not reentrant; one caller at a time.
  void parallelFor(int64_t items, const std::function<void(int64_t item, int worker)>& task);

 private:
  void workerLoop(int worker);
  /// Takes and runs items until none is left. Called and returns with the lock held.
  void runItems(std::unique_lock<std::mutex>& lock, int worker);
  void stop();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int64_t, int)>* task_ = nullptr;
  int64_t nextItem_ = 0;
  int64_t items_ = 0;
  int64_t unfinished_ = 0;
  bool stopping_ = false;
};

}  // namespace hyperarc::cpu
