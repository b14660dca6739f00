// Numbers: add, sub, mul, mad, fma, div, rem, min, max, neg, abs, sqrt, rcp, ex2, and comparisons. PTX ISA, "Integer
// Arithmetic", "Extended-Precision", "Floating Point", "Comparison and Selection". Compiled without contraction: a
// product and a sum are one operation only where the text says fma.
#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>

#include "frame.h"
#include "operations.h"

namespace hyperarc::emulator::ptx {
namespace {

template <typename T>
using Unsigned = std::make_unsigned_t<T>;

/// Wraps around, as registers do.
template <typename T, typename Combine>
T wrapped(T a, T b, Combine combine) {
  if constexpr (std::is_integral_v<T>) {
    // In 64 bits: 16-bit numbers would be promoted to int, whose overflow is not defined.
    return static_cast<T>(combine(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  } else {
    return combine(a, b);
  }
}

template <typename T>
struct Add {
  T operator()(T a, T b) const {
    return wrapped(a, b, [](auto x, auto y) { return x + y; });
  }
};
template <typename T>
struct Subtract {
  T operator()(T a, T b) const {
    return wrapped(a, b, [](auto x, auto y) { return x - y; });
  }
};
template <typename T>
struct Multiply {
  T operator()(T a, T b) const {
    return wrapped(a, b, [](auto x, auto y) { return x * y; });
  }
};
template <typename T>
struct Divide {
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) fail("ptx: a whole number divided by zero");
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return Subtract<T>{}(0, a);
      }
    }
    return static_cast<T>(a / b);
  }
};
template <typename T>
struct Remainder {
  T operator()(T a, T b) const {
    if (b == 0) fail("ptx: the remainder of a division by zero");
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};
// The number, where the other is NaN.
template <typename T>
struct Least {
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return std::fmin(a, b);
    return std::min(a, b);
  }
};
template <typename T>
struct Largest {
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b);
    return std::max(a, b);
  }
};

template <typename T, template <typename> class Operation>
void binary(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, Operation<T>{}(get<T>(frame, i, 1), get<T>(frame, i, 2)));
}

template <typename T, typename Function>
void unary(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, Function{}(get<T>(frame, i, 1)));
}

struct Negate {
  template <typename T>
  T operator()(T a) const {
    if constexpr (std::is_floating_point_v<T>) return -a;
    return static_cast<T>(Subtract<T>{}(0, a));
  }
};
struct Absolute {
  template <typename T>
  T operator()(T a) const {
    if constexpr (std::is_floating_point_v<T>) return std::fabs(a);
    return a < 0 ? Negate{}(a) : a;
  }
};
struct SquareRoot {
  template <typename T>
  T operator()(T a) const {
    return std::sqrt(a);
  }
};
struct Reciprocal {
  template <typename T>
  T operator()(T a) const {
    return T{1} / a;
  }
};
/// rcp.approx.ftz.f64 gives the upper 32 bits; what is subnormal counts as zero.
struct GrossReciprocal {
  double operator()(double a) const {
    if (std::fabs(a) < std::numeric_limits<double>::min()) a = std::copysign(0.0, a);
    double inverse = 1.0 / a;
    uint64_t bits;
    std::memcpy(&bits, &inverse, sizeof bits);
    bits &= 0xffffffff00000000u;
    std::memcpy(&inverse, &bits, sizeof bits);
    return inverse;
  }
};
struct PowerOfTwo {
  float operator()(float a) const {
    constexpr float kSmallestNormal = 0x1p-126f;
    if (std::fabs(a) < kSmallestNormal) return 1.0f;
    const float power = std::exp2(a);
    return power < kSmallestNormal ? 0.0f : power;
  }
};

template <typename T>
void fused(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, std::fma(get<T>(frame, i, 1), get<T>(frame, i, 2), get<T>(frame, i, 3)));
}
void fusedDown(Frame& frame, const Instruction& i) {
  const int before = std::fegetround();
  std::fesetround(FE_DOWNWARD);
  const volatile float a = get<float>(frame, i, 1);
  const volatile float b = get<float>(frame, i, 2);
  const volatile float c = get<float>(frame, i, 3);
  const volatile float result = std::fma(a, b, c);
  std::fesetround(before);
  put<float>(frame, i, 0, result);
}

template <typename T>
void multiplyAdd(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, Add<T>{}(Multiply<T>{}(get<T>(frame, i, 1), get<T>(frame, i, 2)), get<T>(frame, i, 3)));
}
template <typename T, typename Wide>
void multiplyWide(Frame& frame, const Instruction& i) {
  put<Wide>(frame, i, 0, static_cast<Wide>(get<T>(frame, i, 1)) * static_cast<Wide>(get<T>(frame, i, 2)));
}
template <typename T, typename Wide>
void multiplyHigh(Frame& frame, const Instruction& i) {
  const Wide product = static_cast<Wide>(get<T>(frame, i, 1)) * static_cast<Wide>(get<T>(frame, i, 2));
  put<T>(frame, i, 0, static_cast<T>(product >> (8 * sizeof(T))));
}

// Chains over 32 bits: .cc writes the carry, the forms with c read it. `isSecond`: reads; `isSigned`: writes.
void addChain(Frame& frame, const Instruction& i) {
  const uint64_t sum =
      uint64_t{get<uint32_t>(frame, i, 1)} + get<uint32_t>(frame, i, 2) + (i.isSecond && frame.carry ? 1 : 0);
  if (i.isSigned) frame.carry = sum >> 32 != 0;
  put<uint32_t>(frame, i, 0, static_cast<uint32_t>(sum));
}
void subtractChain(Frame& frame, const Instruction& i) {
  const uint64_t difference =
      uint64_t{get<uint32_t>(frame, i, 1)} - get<uint32_t>(frame, i, 2) - (i.isSecond && frame.carry ? 1 : 0);
  if (i.isSigned) frame.carry = difference >> 63 != 0;
  put<uint32_t>(frame, i, 0, static_cast<uint32_t>(difference));
}
/// `number` 32: the upper half of the product, 0: the lower.
void multiplyAddChain(Frame& frame, const Instruction& i) {
  const uint64_t product = uint64_t{get<uint32_t>(frame, i, 1)} * get<uint32_t>(frame, i, 2);
  const uint64_t sum =
      (product >> i.number & 0xffffffffu) + get<uint32_t>(frame, i, 3) + (i.isSecond && frame.carry ? 1 : 0);
  if (i.isSigned) frame.carry = sum >> 32 != 0;
  put<uint32_t>(frame, i, 0, static_cast<uint32_t>(sum));
}

enum class Relation : uint32_t { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kIsNan };

/// `number` is the relation; `isSecond`: of floating-point numbers, true where one is NaN.
template <typename T>
void compare(Frame& frame, const Instruction& i) {
  const T a = get<T>(frame, i, 1);
  const T b = get<T>(frame, i, 2);
  bool result = false;
  bool isUnordered = false;
  if constexpr (std::is_floating_point_v<T>) isUnordered = std::isnan(a) || std::isnan(b);
  const auto relation = static_cast<Relation>(i.number);
  if (isUnordered) {
    result = relation == Relation::kIsNan || i.isSecond;
  } else {
    switch (relation) {
      case Relation::kEqual:
        result = a == b;
        break;
      case Relation::kNotEqual:
        result = a != b;
        break;
      case Relation::kLess:
        result = a < b;
        break;
      case Relation::kLessOrEqual:
        result = a <= b;
        break;
      case Relation::kGreater:
        result = a > b;
        break;
      case Relation::kGreaterOrEqual:
        result = a >= b;
        break;
      case Relation::kIsNan:
        break;
    }
  }
  put<uint32_t>(frame, i, 0, result ? 1 : 0);
}

template <template <typename> class Operation>
Handler forEachType(const std::string& type) {
  if (type == "s16") return binary<int16_t, Operation>;
  if (type == "u16") return binary<uint16_t, Operation>;
  if (type == "s32") return binary<int32_t, Operation>;
  if (type == "u32") return binary<uint32_t, Operation>;
  if (type == "s64") return binary<int64_t, Operation>;
  if (type == "u64") return binary<uint64_t, Operation>;
  return nullptr;
}
template <template <typename> class Operation>
Handler forAllTypes(const std::string& type) {
  if (type == "f32") return binary<float, Operation>;
  if (type == "f64") return binary<double, Operation>;
  return forEachType<Operation>(type);
}
template <typename Function>
Handler forFloats(const std::string& type) {
  if (type == "f32") return unary<float, Function>;
  if (type == "f64") return unary<double, Function>;
  return nullptr;
}
template <typename Function>
Handler forSigned(const std::string& type) {
  if (type == "s32") return unary<int32_t, Function>;
  if (type == "s64") return unary<int64_t, Function>;
  return forFloats<Function>(type);
}

Handler multiplication(const Words& words) {
  const std::string& type = words.back();
  if (has(words, "wide")) {
    if (type == "s32") return multiplyWide<int32_t, int64_t>;
    if (type == "u32") return multiplyWide<uint32_t, uint64_t>;
    if (type == "s16") return multiplyWide<int16_t, int32_t>;
    if (type == "u16") return multiplyWide<uint16_t, uint32_t>;
    return nullptr;
  }
  if (has(words, "hi")) {
    if (type == "s32") return multiplyHigh<int32_t, int64_t>;
    if (type == "u32") return multiplyHigh<uint32_t, uint64_t>;
    if (type == "s64") return multiplyHigh<int64_t, __int128>;
    if (type == "u64") return multiplyHigh<uint64_t, unsigned __int128>;
    return nullptr;
  }
  return forAllTypes<Multiply>(type);
}

Handler comparison(const Words& words, Instruction& instruction) {
  if (words.size() != 3) return nullptr;  // no boolean operation beside it
  std::string relation = words[1];
  const std::string& type = words[2];
  const bool isFloat = type == "f32" || type == "f64";
  if (isFloat && relation.size() == 3 && relation.back() == 'u') {
    instruction.isSecond = true;
    relation.pop_back();
  }
  constexpr const char* kNames[] = {"eq", "ne", "lt", "le", "gt", "ge", "nan"};
  uint32_t number = 0;
  for (const char* name : kNames) {
    if (relation == name) break;
    ++number;
  }
  if (number == std::size(kNames) || (!isFloat && relation == "nan")) return nullptr;
  instruction.number = number;
  if (type == "f32") return compare<float>;
  if (type == "f64") return compare<double>;
  if (type == "s16") return compare<int16_t>;
  if (type == "u16" || type == "b16") return compare<uint16_t>;
  if (type == "s32") return compare<int32_t>;
  if (type == "u32" || type == "b32") return compare<uint32_t>;
  if (type == "s64") return compare<int64_t>;
  if (type == "u64" || type == "b64") return compare<uint64_t>;
  return nullptr;
}

/// The chain instructions: "add.cc.u32", "addc.u32", "addc.cc.u32", and so on.
Handler chain(const Words& words, Instruction& instruction) {
  const std::string& name = words[0];
  if (words.back() != "u32" && words.back() != "s32") return nullptr;
  instruction.isSigned = has(words, "cc");
  instruction.isSecond = name == "addc" || name == "subc" || name == "madc";
  instruction.number = has(words, "hi") ? 32 : 0;
  if (name == "add" || name == "addc") return addChain;
  if (name == "sub" || name == "subc") return subtractChain;
  if (name == "mad" || name == "madc") return multiplyAddChain;
  return nullptr;
}

/// Forms whose rounding or range differs from the plain one are not among these.
bool isPlainFloat(const Words& words) {
  return !has(words, "sat") && !has(words, "ftz") && !has(words, "rz") && !has(words, "rm") && !has(words, "rp");
}

}  // namespace

Handler arithmeticHandler(const Words& words, Instruction& instruction) {
  const std::string& name = words[0];
  const std::string& type = words.back();
  if (name == "setp") return comparison(words, instruction);
  if (has(words, "cc") || name == "addc" || name == "subc" || name == "madc") return chain(words, instruction);
  if (name == "ex2") return words == Words{"ex2", "approx", "ftz", "f32"} ? unary<float, PowerOfTwo> : nullptr;
  if (name == "rcp" && words == Words{"rcp", "approx", "ftz", "f64"}) return unary<double, GrossReciprocal>;
  if (name == "fma" && words == Words{"fma", "rm", "f32"}) return fusedDown;
  if (!isPlainFloat(words)) return nullptr;
  if (name == "add") return forAllTypes<Add>(type);
  if (name == "sub") return forAllTypes<Subtract>(type);
  if (name == "mul") return multiplication(words);
  if (name == "div") return forAllTypes<Divide>(type);  // approx: within 2 ulp, so the exact quotient is one of its own
  if (name == "rem") return forEachType<Remainder>(type);
  if (name == "min") return forAllTypes<Least>(type);
  if (name == "max") return forAllTypes<Largest>(type);
  if (name == "neg") return forSigned<Negate>(type);
  if (name == "abs") return forSigned<Absolute>(type);
  if (name == "sqrt") return has(words, "rn") ? forFloats<SquareRoot>(type) : nullptr;
  if (name == "rcp") return has(words, "rn") ? forFloats<Reciprocal>(type) : nullptr;
  if (name == "fma") {
    if (type == "f32") return fused<float>;
    return type == "f64" ? fused<double> : nullptr;
  }
  if (name == "mad" && has(words, "lo")) {
    if (type == "s32") return multiplyAdd<int32_t>;
    if (type == "u32") return multiplyAdd<uint32_t>;
    if (type == "s64") return multiplyAdd<int64_t>;
    if (type == "u64") return multiplyAdd<uint64_t>;
  }
  return nullptr;
}

}  // namespace hyperarc::emulator::ptx
