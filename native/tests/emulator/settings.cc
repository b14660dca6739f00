#include "settings.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "emulator/language.h"

namespace hyperarc::emulator {
namespace {

constexpr char kPrefix[] = "HYPERARC_EMULATED_";
constexpr const char* kNames[] = {"DEVICES",  "DRIVER",      "SM",  "MEMORY_BYTES", "SHARED_BYTES",
                                  "SCHEDULE", "FAIL_KERNEL", "PTX", "PTX_LAUNCHED"};

const char* read(const char* name) {
  const std::string variable = std::string(kPrefix) + name;
  const char* value = std::getenv(variable.c_str());
  return value != nullptr && *value != '\0' ? value : nullptr;
}

template <typename Number>
void readNumber(const char* name, Number* number, int64_t least, int64_t most) {
  const char* text = read(name);
  if (text == nullptr) return;
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(text, &end, 10);
  if (errno != 0 || *end != '\0' || value < least || value > most) {
    fail("%s%s is '%s'; expected a whole number in [%lld, %lld]", kPrefix, name, text, static_cast<long long>(least),
         static_cast<long long>(most));
  }
  *number = static_cast<Number>(value);
}

void refuseUnknownNames() {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, kPrefix, sizeof kPrefix - 1) != 0) continue;
    const char* rest = *entry + sizeof kPrefix - 1;
    const size_t length = std::strcspn(rest, "=");
    bool isKnown = false;
    for (const char* name : kNames) isKnown |= std::strlen(name) == length && std::strncmp(name, rest, length) == 0;
    if (!isKnown)
      fail("%.*s is not a variable that the harness knows", static_cast<int>(std::strcspn(*entry, "=")), *entry);
  }
}

}  // namespace

Settings readSettings() {
  refuseUnknownNames();
  Settings settings;
  readNumber("DEVICES", &settings.devices, 0, kMostDevices);
  readNumber("DRIVER", &settings.driverVersion, 0, 1000000);
  readNumber("SM", &settings.computeCapability, 50, 121);
  readNumber("MEMORY_BYTES", &settings.memoryBytes, 1, int64_t{1} << 50);
  if (settings.computeCapability >= 90) settings.sharedBytes = 227 * 1024;
  if (settings.computeCapability == 86 || settings.computeCapability == 89 || settings.computeCapability >= 120) {
    settings.sharedBytes = 99 * 1024;
  }
  readNumber("SHARED_BYTES", &settings.sharedBytes, 0, int64_t{1} << 30);
  readNumber("SCHEDULE", &settings.schedule, 0, int64_t{1} << 62);
  if (const char* kernel = read("FAIL_KERNEL")) settings.failKernel = kernel;
  if (const char* folder = read("PTX")) settings.ptxFolder = folder;
  if (const char* file = read("PTX_LAUNCHED")) settings.ptxLaunched = file;
  return settings;
}

}  // namespace hyperarc::emulator
