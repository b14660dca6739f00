// cvt. PTX ISA, "Data Movement and Conversion". The default rounding of the host is to nearest even, as .rn and .rni
// ask.
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "frame.h"
#include "operations.h"

namespace hyperarc::emulator::ptx {
namespace {

enum class Rounding : uint32_t { kNearest, kDown, kUp, kZero };

double roundTo(double value, Rounding rounding) {
  switch (rounding) {
    case Rounding::kDown:
      return std::floor(value);
    case Rounding::kUp:
      return std::ceil(value);
    case Rounding::kZero:
      return std::trunc(value);
    case Rounding::kNearest:
      break;
  }
  return std::nearbyint(value);
}

/// A whole number of the target's range; NaN is 0 for 32 bits, as the ISA has it.
template <typename To>
To clamped(double whole) {
  if (std::isnan(whole)) return 0;
  // The largest of 64 bits is no double: compared with the power of two above it.
  const double above = std::ldexp(1.0, std::numeric_limits<To>::digits);
  if (whole >= above) return std::numeric_limits<To>::max();
  if (whole <= static_cast<double>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  return static_cast<To>(whole);
}

template <typename To, typename From>
void convert(Frame& frame, const Instruction& i) {
  const From value = get<From>(frame, i, 1);
  if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    put<To>(frame, i, 0, clamped<To>(roundTo(static_cast<double>(value), static_cast<Rounding>(i.number))));
  } else if constexpr (std::is_floating_point_v<To> && std::is_same_v<To, From>) {
    // Between equal types: to a whole number (`isSigned`), or into [0, 1] (`isSecond`).
    To result = i.isSigned ? static_cast<To>(roundTo(value, static_cast<Rounding>(i.number))) : value;
    if (i.isSecond) result = std::isnan(result) ? To{0} : std::fmin(std::fmax(result, To{0}), To{1});
    put<To>(frame, i, 0, result);
  } else {
    put<To>(frame, i, 0, static_cast<To>(value));
  }
}

uint32_t bf16Of(float value) {
  if (std::isnan(value)) return 0x7fff;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return (bits + 0x7fff + (bits >> 16 & 1u)) >> 16;
}
/// cvt.rn.bf16x2.f32 d, a, b: a in the upper half.
void packBf16(Frame& frame, const Instruction& i) {
  put<uint32_t>(frame, i, 0, bf16Of(get<float>(frame, i, 1)) << 16 | bf16Of(get<float>(frame, i, 2)));
}

template <typename To>
Handler from(const std::string& type) {
  if (type == "s8") return convert<To, int8_t>;
  if (type == "u8") return convert<To, uint8_t>;
  if (type == "s16") return convert<To, int16_t>;
  if (type == "u16") return convert<To, uint16_t>;
  if (type == "s32") return convert<To, int32_t>;
  if (type == "u32") return convert<To, uint32_t>;
  if (type == "s64") return convert<To, int64_t>;
  if (type == "u64") return convert<To, uint64_t>;
  if (type == "f32") return convert<To, float>;
  if (type == "f64") return convert<To, double>;
  return nullptr;
}

}  // namespace

Handler conversionHandler(const Words& words, Instruction& instruction) {
  if (words[0] != "cvt" || words.size() < 3) return nullptr;
  if (words == Words{"cvt", "rn", "bf16x2", "f32"}) return packBf16;
  static const std::map<std::string, Rounding> kWhole = {
      {"rni", Rounding::kNearest}, {"rmi", Rounding::kDown}, {"rpi", Rounding::kUp}, {"rzi", Rounding::kZero}};
  for (size_t n = 1; n + 2 < words.size(); ++n) {
    const auto whole = kWhole.find(words[n]);
    if (whole != kWhole.end()) {
      instruction.number = static_cast<uint32_t>(whole->second);
      instruction.isSigned = true;
    } else if (words[n] == "sat") {
      instruction.isSecond = true;
    } else if (words[n] != "rn") {
      return nullptr;
    }
  }
  const std::string& to = words[words.size() - 2];
  const std::string& type = words.back();
  const bool isFloatTo = to == "f32" || to == "f64";
  const bool isFloatFrom = type == "f32" || type == "f64";
  if (instruction.isSecond && (!isFloatTo || to != type)) return nullptr;
  if (!isFloatTo && isFloatFrom && !instruction.isSigned) return nullptr;
  if (to == "s8") return from<int8_t>(type);
  if (to == "u8") return from<uint8_t>(type);
  if (to == "s16") return from<int16_t>(type);
  if (to == "u16") return from<uint16_t>(type);
  if (to == "s32") return from<int32_t>(type);
  if (to == "u32") return from<uint32_t>(type);
  if (to == "s64") return from<int64_t>(type);
  if (to == "u64") return from<uint64_t>(type);
  if (to == "f32") return from<float>(type);
  return to == "f64" ? from<double>(type) : nullptr;
}

}  // namespace hyperarc::emulator::ptx
