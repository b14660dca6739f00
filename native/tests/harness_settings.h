// Settings of the host harness (tests/emulator) for the time of a test.
#pragma once

#include <cuda_runtime.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace hyperarc::test {

/// Sets variables of the harness for as long as it lives; then they are at their defaults.
class Harness {
 public:
  ~Harness() {
    for (const std::string& name : set_) unsetenv(name.c_str());
    emulator::reset();
  }
  void set(const std::string& name, const std::string& value) {
    const std::string variable = "HYPERARC_EMULATED_" + name;
    setenv(variable.c_str(), value.c_str(), 1);
    set_.push_back(variable);
  }
  void unset(const std::string& name) { unsetenv(("HYPERARC_EMULATED_" + name).c_str()); }

 private:
  std::vector<std::string> set_;
};

}  // namespace hyperarc::test
