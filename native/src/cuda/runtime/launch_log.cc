#include "runtime/launch_log.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

namespace hyperarc::cuda {

namespace {

std::mutex mutex;

/// Never destroyed: engines may be, after static objects are.
std::map<cudaStream_t, std::vector<const char*>>& logs() {
  static auto* all = new std::map<cudaStream_t, std::vector<const char*>>;
  return *all;
}

}  // namespace

void LaunchLog::add(cudaStream_t stream, const char* kernel) {
  const std::lock_guard lock(mutex);
  const auto log = logs().find(stream);
  if (log == logs().end()) return;
  std::vector<const char*>& names = log->second;
  if (std::find(names.begin(), names.end(), kernel) == names.end()) names.push_back(kernel);
}

void LaunchLog::watch(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  logs()[stream].clear();
}

void LaunchLog::forget(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  logs().erase(stream);
}

void LaunchLog::clear(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const auto log = logs().find(stream);
  if (log != logs().end()) log->second.clear();
}

std::string LaunchLog::kernels(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const auto log = logs().find(stream);
  std::string text;
  if (log == logs().end()) return text;
  for (const char* name : log->second) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

}  // namespace hyperarc::cuda
