#include "cpu/thread_pool.h"

namespace hyperarc::cpu {

ThreadPool::ThreadPool(int threads) {
  try {
    for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { workerLoop(worker); });
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::parallelFor(int64_t items, const std::function<void(int64_t, int)>& task) {
  if (items <= 0) return;
  std::unique_lock<std::mutex> lock(mutex_);
  task_ = &task;
  nextItem_ = 0;
  items_ = items;
  unfinished_ = items;
  if (items > 1) wake_.notify_all();
  runItems(lock, 0);
  done_.wait(lock, [this] { return unfinished_ == 0; });
  task_ = nullptr;
  items_ = 0;
  nextItem_ = 0;
}

void ThreadPool::workerLoop(int worker) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || nextItem_ < items_; });
    if (stopping_) return;
    runItems(lock, worker);
  }
}

void ThreadPool::runItems(std::unique_lock<std::mutex>& lock, int worker) {
  while (nextItem_ < items_) {
    const int64_t item = nextItem_++;
    const std::function<void(int64_t, int)>* task = task_;
    lock.unlock();
    (*task)(item, worker);
    lock.lock();
    if (--unfinished_ == 0) done_.notify_all();
  }
}

}  // namespace hyperarc::cpu
