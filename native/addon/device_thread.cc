#include "device_thread.h"

#include <utility>

namespace hyperarc::addon {

DeviceThread::DeviceThread(Finished finished) : finished_(std::move(finished)), thread_([this] { loop(); }) {}

DeviceThread::~DeviceThread() {
  close();
  if (thread_.joinable()) thread_.join();
}

void DeviceThread::post(std::unique_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void DeviceThread::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
}

bool DeviceThread::ended() {
  std::lock_guard lock(mutex_);
  return ended_;
}

std::deque<std::unique_ptr<Job>> DeviceThread::cancel() {
  std::deque<std::unique_ptr<Job>> dropped;
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  return dropped;
}

void DeviceThread::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) break;
    std::unique_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job->run();
    finished_(std::move(job));
    lock.lock();
  }
  ended_ = true;
}

}  // namespace hyperarc::addon
