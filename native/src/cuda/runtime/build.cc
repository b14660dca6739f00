#include "runtime/build.h"

namespace hyperarc::cuda {

namespace {

/// `name` is e.g. 80-real, 90a-real, 120-virtual, or 86 for both kinds.
bool serves(std::string_view name, int major, int minor) {
  int number = 0;
  size_t digits = 0;
  for (; digits < name.size() && name[digits] >= '0' && name[digits] <= '9'; ++digits)
    number = 10 * number + (name[digits] - '0');
  const int ownMajor = number / 10, ownMinor = number % 10;
  const std::string_view rest = name.substr(digits);
  if (rest.starts_with('a')) return major == ownMajor && minor == ownMinor;
  if (major == ownMajor) return minor >= ownMinor;
  return major > ownMajor && !rest.starts_with('f') && !rest.ends_with("-real");
}

}  // namespace

std::string_view builtArchitectures() { return HYPERARC_CUDA_ARCHITECTURES; }

bool hasCodeFor(std::string_view architectures, int major, int minor) {
  while (!architectures.empty()) {
    const size_t end = architectures.find(' ');
    if (serves(architectures.substr(0, end), major, minor)) return true;
    architectures.remove_prefix(end == std::string_view::npos ? architectures.size() : end + 1);
  }
  return false;
}

}  // namespace hyperarc::cuda
