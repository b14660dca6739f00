// Words of bits: and, or, xor, not, shifts, bfi, popc, clz, selp, mov, copysign. PTX ISA, "Logic and Shift", "Integer
// Arithmetic", "Data Movement".
#include <bit>
#include <cmath>

#include "frame.h"
#include "operations.h"

namespace hyperarc::emulator::ptx {
namespace {

template <typename T>
struct And {
  T operator()(T a, T b) const { return static_cast<T>(a & b); }
};
template <typename T>
struct Or {
  T operator()(T a, T b) const { return static_cast<T>(a | b); }
};
template <typename T>
struct Xor {
  T operator()(T a, T b) const { return static_cast<T>(a ^ b); }
};

template <typename T, template <typename> class Operation>
void binary(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, Operation<T>{}(get<T>(frame, i, 1), get<T>(frame, i, 2)));
}
template <template <typename> class Operation>
void binaryPredicate(Frame& frame, const Instruction& i) {
  put<uint32_t>(frame, i, 0, Operation<uint32_t>{}(holds(frame, i.operands[1]), holds(frame, i.operands[2])));
}
void notPredicate(Frame& frame, const Instruction& i) {
  put<uint32_t>(frame, i, 0, holds(frame, i.operands[1]) ? 0 : 1);
}
template <typename T>
void complement(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, static_cast<T>(~get<T>(frame, i, 1)));
}

// Amounts beyond the width count as the width.
template <typename T>
void shiftLeft(Frame& frame, const Instruction& i) {
  const uint32_t amount = get<uint32_t>(frame, i, 2);
  put<T>(frame, i, 0, amount >= 8 * sizeof(T) ? T{0} : static_cast<T>(uint64_t{get<T>(frame, i, 1)} << amount));
}
template <typename T>
void shiftRight(Frame& frame, const Instruction& i) {
  const uint32_t amount = get<uint32_t>(frame, i, 2);
  const T value = get<T>(frame, i, 1);
  const uint32_t most = 8 * sizeof(T) - 1;
  if (amount > most) {
    put<T>(frame, i, 0, std::is_signed_v<T> && value < 0 ? static_cast<T>(-1) : T{0});
  } else {
    put<T>(frame, i, 0, static_cast<T>(value >> amount));
  }
}

/// d = b with `length` bits of a from bit `position` on.
template <typename T>
void insertField(Frame& frame, const Instruction& i) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  const T a = get<T>(frame, i, 1);
  T result = get<T>(frame, i, 2);
  const uint32_t position = get<uint32_t>(frame, i, 3) & 0xffu;
  const uint32_t length = get<uint32_t>(frame, i, 4) & 0xffu;
  for (uint32_t bit = 0; bit < length && position + bit < kBits; ++bit) {
    const T mask = T{1} << (position + bit);
    result = (a >> bit & 1u) != 0 ? static_cast<T>(result | mask) : static_cast<T>(result & ~mask);
  }
  put<T>(frame, i, 0, result);
}

template <typename T>
void countOnes(Frame& frame, const Instruction& i) {
  put<uint32_t>(frame, i, 0, static_cast<uint32_t>(std::popcount(get<T>(frame, i, 1))));
}
template <typename T>
void countLeadingZeros(Frame& frame, const Instruction& i) {
  put<uint32_t>(frame, i, 0, static_cast<uint32_t>(std::countl_zero(get<T>(frame, i, 1))));
}

template <typename T>
void select(Frame& frame, const Instruction& i) {
  put<T>(frame, i, 0, holds(frame, i.operands[3]) ? get<T>(frame, i, 1) : get<T>(frame, i, 2));
}

/// copysign.f64 d, a, b: the sign of a, the magnitude of b.
void copySign(Frame& frame, const Instruction& i) {
  put<double>(frame, i, 0, std::copysign(get<double>(frame, i, 2), get<double>(frame, i, 1)));
}

void movePredicate(Frame& frame, const Instruction& i) {
  put<uint32_t>(frame, i, 0, holds(frame, i.operands[1]) ? 1 : 0);
}

/// A register, a constant, an address; or a word to its parts, or parts to a word. `number`: bits of the type.
void move(Frame& frame, const Instruction& i) {
  const Operand& to = i.operands[0];
  const Operand& from = i.operands[1];
  const auto keep = [](uint64_t bits, uint32_t width) {
    return width == 64 ? bits : bits & ((uint64_t{1} << width) - 1);
  };
  uint64_t bits = 0;
  if (from.kind == Operand::Kind::kVector) {
    const uint32_t part = i.number / from.count;
    for (uint32_t n = 0; n < from.count; ++n) bits |= keep(bitsOf(frame, element(i, from, n)), part) << (n * part);
  } else {
    bits = keep(bitsOf(frame, from), i.number);
  }
  if (to.kind != Operand::Kind::kVector) {
    put<uint64_t>(frame, to, bits);
    return;
  }
  const uint32_t part = i.number / to.count;
  for (uint32_t n = 0; n < to.count; ++n) put<uint64_t>(frame, element(i, to, n), keep(bits >> (n * part), part));
}

uint32_t bitsOfType(const std::string& type) {
  if (type.size() < 2 || std::string("busf").find(type[0]) == std::string::npos) return 0;
  const std::string digits = type.substr(1);
  for (const uint32_t bits : {8u, 16u, 32u, 64u}) {
    if (digits == std::to_string(bits)) return bits;
  }
  return 0;
}

template <template <typename> class Operation>
Handler logic(const std::string& type) {
  if (type == "pred") return binaryPredicate<Operation>;
  if (type == "b16") return binary<uint16_t, Operation>;
  if (type == "b32") return binary<uint32_t, Operation>;
  return type == "b64" ? binary<uint64_t, Operation> : nullptr;
}

}  // namespace

Handler bitHandler(const Words& words, Instruction& instruction) {
  const std::string& name = words[0];
  const std::string& type = words.back();
  const uint32_t bits = bitsOfType(type);
  if (words.size() != 2) return nullptr;
  if (name == "and") return logic<And>(type);
  if (name == "or") return logic<Or>(type);
  if (name == "xor") return logic<Xor>(type);
  if (name == "not") {
    if (type == "pred") return notPredicate;
    if (bits == 16) return complement<uint16_t>;
    if (bits == 32) return complement<uint32_t>;
    return bits == 64 ? complement<uint64_t> : nullptr;
  }
  if (name == "shl") {
    if (bits == 16) return shiftLeft<uint16_t>;
    if (bits == 32) return shiftLeft<uint32_t>;
    return bits == 64 ? shiftLeft<uint64_t> : nullptr;
  }
  if (name == "shr") {
    if (type == "s32") return shiftRight<int32_t>;
    if (type == "s64") return shiftRight<int64_t>;
    if (type == "s16") return shiftRight<int16_t>;
    if (bits == 16) return shiftRight<uint16_t>;
    if (bits == 32) return shiftRight<uint32_t>;
    return bits == 64 ? shiftRight<uint64_t> : nullptr;
  }
  if (name == "bfi") return bits == 32 ? insertField<uint32_t> : insertField<uint64_t>;
  if (name == "popc") return bits == 32 ? countOnes<uint32_t> : countOnes<uint64_t>;
  if (name == "clz") return bits == 32 ? countLeadingZeros<uint32_t> : countLeadingZeros<uint64_t>;
  if (name == "selp") {
    if (bits == 16) return select<uint16_t>;
    if (bits == 32) return select<uint32_t>;
    return bits == 64 ? select<uint64_t> : nullptr;
  }
  if (name == "copysign" && type == "f64") return copySign;
  if (name == "mov") {
    if (type == "pred") return movePredicate;
    instruction.number = bits;
    return bits != 0 ? move : nullptr;
  }
  return nullptr;
}

}  // namespace hyperarc::emulator::ptx
