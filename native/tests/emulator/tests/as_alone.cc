#include "as_alone.h"

#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace hyperarc::emulator {
namespace {

std::map<std::string, std::string> settings() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t end = text.find('=');
    if (text.starts_with("HYPERARC_EMULATED_") && end != std::string_view::npos)
      found.emplace(text.substr(0, end), text.substr(end + 1));
  }
  return found;
}

const std::map<std::string, std::string>& firstSettings() {
  static const std::map<std::string, std::string> first = settings();
  return first;
}

class BeginAsAlone final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { beginAsAlone(); }
};

[[maybe_unused]] const bool isListening = [] {
  firstSettings();
  testing::UnitTest::GetInstance()->listeners().Append(new BeginAsAlone);  // GoogleTest's from here on
  return true;
}();

}  // namespace

void beginAsAlone() {
  for (const auto& [name, value] : settings()) {
    if (!firstSettings().contains(name)) unsetenv(name.c_str());
  }
  for (const auto& [name, value] : firstSettings()) setenv(name.c_str(), value.c_str(), 1);
  restartTurns();
}

}  // namespace hyperarc::emulator
