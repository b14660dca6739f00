// What a thread has while it runs a function, and how handlers read and write operands.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "emulator/language.h"
#include "module.h"

namespace hyperarc::emulator::ptx {

/// Registers that a wgmma under way owns, and the numbers behind them. `slots` never change; `values` is what the
/// harness knows the product by.
struct OwnedRegisters {
  std::vector<uint32_t> slots;
  std::vector<float> values;
  uint64_t group = 0;
  bool isUnderWay = false;
};

/// Registers that a wgmma under way reads its A from.
struct ReadRegisters {
  std::vector<uint32_t> slots;
  std::vector<uint64_t> values;
  uint64_t group = 0;
};

/// Bytes aligned as parameters may be, all 0xFF.
class Bytes {
 public:
  explicit Bytes(size_t size);
  unsigned char* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(unsigned char* data) const { std::free(data); }
  };
  size_t size_;
  std::unique_ptr<unsigned char[], Free> data_;
};

struct Frame {
  const Module& module;
  const Function& function;
  std::vector<uint64_t> registers;
  Bytes parameters;
  Bytes local;
  size_t next = 0;
  bool carry = false;
  uint32_t waits = 0;  // mbarrier.try_wait so far
  // The device allocation that was used last.
  uintptr_t knownBegin = 0;
  uintptr_t knownEnd = 0;
  std::vector<std::unique_ptr<OwnedRegisters>> owned;
  std::vector<ReadRegisters> read;
  uint64_t group = 0;  // of wgmma, under construction

  Frame(const Module& itsModule, const Function& itsFunction);
};

inline Site siteOf(const Frame& frame, const Instruction& instruction) {
  return {frame.module.file.c_str(), instruction.line};
}
[[noreturn]] void refuse(const Frame& frame, const Instruction& instruction, const std::string& why);

uint64_t specialValue(Special special);

inline uint64_t bitsOf(const Frame& frame, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::kRegister:
      return frame.registers[operand.slot];
    case Operand::Kind::kConstant:
      return operand.value;
    case Operand::Kind::kAddress:
      return operand.slot == kNoSlot ? operand.value : frame.registers[operand.slot] + operand.value;
    case Operand::Kind::kSpecial:
      return specialValue(static_cast<Special>(operand.slot));
    default:
      fail("ptx: %s: an operand that has no value", frame.function.symbol.c_str());
  }
}

/// The operand as a number of type T: the low bits of its register.
template <typename T>
T get(const Frame& frame, const Operand& operand) {
  const uint64_t bits = bitsOf(frame, operand);
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <typename T>
T get(const Frame& frame, const Instruction& instruction, size_t number) {
  return get<T>(frame, instruction.operands[number]);
}
inline bool holds(const Frame& frame, const Operand& predicate) {
  return (bitsOf(frame, predicate) & 1u) != (predicate.isNegated ? 1u : 0u);
}

template <typename T>
void put(Frame& frame, const Operand& operand, T value) {
  if (operand.kind == Operand::Kind::kNone) return;
  // Signed numbers fill the register, as loads and cvt do; whoever reads fewer bits does not see it.
  uint64_t bits = 0;
  if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    bits = static_cast<uint64_t>(static_cast<int64_t>(value));
  } else {
    std::memcpy(&bits, &value, sizeof value);
  }
  frame.registers[operand.slot] = bits;
}
template <typename T>
void put(Frame& frame, const Instruction& instruction, size_t number, T value) {
  put(frame, instruction.operands[number], value);
}

/// The elements of an operand in braces, or the operand itself.
inline const Operand& element(const Instruction& instruction, const Operand& operand, uint32_t number) {
  return operand.kind == Operand::Kind::kVector ? instruction.elements[operand.slot + number] : operand;
}

/// Where `bytes` bytes at an address of a state space lie; refuses what is outside, or at no multiple of `alignment`.
unsigned char* place(Frame& frame, const Instruction& instruction, Space space, uint64_t address, size_t bytes,
                     size_t alignment);

/// The offset in dynamic shared memory that the harness's own functions take.
uint32_t dynamicOffset(const Frame& frame, const Instruction& instruction, uint64_t address);

/// Runs the function to its end in the current thread.
void run(Frame& frame);

}  // namespace hyperarc::emulator::ptx
