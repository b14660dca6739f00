// ld, st, atom, cvta, cp.async, prefetch. PTX ISA, "Data Movement", "Parallel Synchronization". An access must be
// aligned to its size, and lie in an allocation or a variable.
#include "emulator/prefetches.h"
#include "frame.h"
#include "operations.h"
#include "warp_emulation.h"

namespace hyperarc::emulator::ptx {
namespace {

/// `number`: bytes of an element; `isSigned`: it is extended by its sign.
void load(Frame& frame, const Instruction& i) {
  const Operand& to = i.operands[0];
  const uint32_t count = to.kind == Operand::Kind::kVector ? to.count : 1;
  const size_t bytes = size_t{count} * i.number;
  const unsigned char* from = place(frame, i, i.space, bitsOf(frame, i.operands[1]), bytes, bytes);
  // Results may name the register that the address was in: all are read first.
  uint64_t values[8] = {};
  for (uint32_t n = 0; n < count; ++n) {
    std::memcpy(&values[n], from + n * i.number, i.number);
    if (i.isSigned && i.number < 8 && (values[n] >> (8 * i.number - 1) & 1u) != 0)
      values[n] |= ~uint64_t{0} << 8 * i.number;
  }
  for (uint32_t n = 0; n < count; ++n) put<uint64_t>(frame, element(i, to, n), values[n]);
}

void store(Frame& frame, const Instruction& i) {
  const Operand& from = i.operands[1];
  const uint32_t count = from.kind == Operand::Kind::kVector ? from.count : 1;
  const size_t bytes = size_t{count} * i.number;
  unsigned char* to = place(frame, i, i.space, bitsOf(frame, i.operands[0]), bytes, bytes);
  for (uint32_t n = 0; n < count; ++n) {
    const uint64_t value = bitsOf(frame, element(i, from, n));
    std::memcpy(to + n * i.number, &value, i.number);
  }
}

void atomicAdd(Frame& frame, const Instruction& i) {
  unsigned char* at = place(frame, i, i.space, bitsOf(frame, i.operands[1]), 4, 4);
  uint32_t before;
  std::memcpy(&before, at, 4);
  const uint32_t after = before + get<uint32_t>(frame, i, 2);
  std::memcpy(at, &after, 4);
  put<uint32_t>(frame, i, 0, before);
}
void atomicCompareAndSwap(Frame& frame, const Instruction& i) {
  unsigned char* at = place(frame, i, i.space, bitsOf(frame, i.operands[1]), 8, 8);
  uint64_t before;
  std::memcpy(&before, at, 8);
  const uint64_t after = before == get<uint64_t>(frame, i, 2) ? get<uint64_t>(frame, i, 3) : before;
  std::memcpy(at, &after, 8);
  put<uint64_t>(frame, i, 0, before);
}

/// cvta.SPACE: to the generic address; cvta.to.SPACE (`isSecond`): back.
void convertAddress(Frame& frame, const Instruction& i) {
  const uint64_t address = bitsOf(frame, i.operands[1]);
  if (i.space == Space::kGlobal) {
    put<uint64_t>(frame, i, 0, address);
    return;
  }
  if (i.isSecond) {
    const auto begin = i.space == Space::kParameter ? reinterpret_cast<uintptr_t>(frame.parameters.data())
                                                    : reinterpret_cast<uintptr_t>(frame.local.data());
    if (i.space == Space::kShared) {
      put<uint64_t>(frame, i, 0, sharedOffset(reinterpret_cast<const void*>(static_cast<uintptr_t>(address))));
    } else {
      put<uint64_t>(frame, i, 0, address - begin);
    }
    return;
  }
  put<uint64_t>(frame, i, 0, reinterpret_cast<uintptr_t>(place(frame, i, i.space, address, 0, 1)));
}

/// cp.async.cg.shared.global [to], [from], 16, bytes: 0 bytes are zeros, and `from` is not read.
void copyAsync16(Frame& frame, const Instruction& i) {
  const uint32_t bytes = i.operands.size() > 3 ? get<uint32_t>(frame, i, 3) : 16;
  if (get<uint32_t>(frame, i, 2) != 16 || (bytes != 16 && bytes != 0)) refuse(frame, i, "expected 16 bytes, or none");
  void* to = place(frame, i, Space::kShared, bitsOf(frame, i.operands[0]), 16, 16);
  const uint64_t from = bitsOf(frame, i.operands[1]);
  const void* source = bytes == 0 ? nullptr : place(frame, i, Space::kGlobal, from, 16, 16);
  copyAsync(to, source, bytes != 0, siteOf(frame, i));
}
void commitAsync(Frame&, const Instruction&) { commitCopies(); }
void waitAsync(Frame& frame, const Instruction& i) { waitForCopies(static_cast<int>(get<uint32_t>(frame, i, 0))); }

void prefetch(Frame& frame, const Instruction& i) {
  prefetchLine(reinterpret_cast<const void*>(static_cast<uintptr_t>(bitsOf(frame, i.operands[0]))), siteOf(frame, i));
}
/// A tensor map is read in any case: it must be one of the kernel's parameters, or lie in memory.
void prefetchMap(Frame& frame, const Instruction& i) {
  place(frame, i, Space::kGeneric, bitsOf(frame, i.operands[0]), 128, 64);
}

bool takeSpace(const Words& words, Instruction& instruction) {
  instruction.space = Space::kGeneric;
  for (const std::string& word : words) {
    if (word == "global") instruction.space = Space::kGlobal;
    if (word.rfind("shared", 0) == 0) instruction.space = Space::kShared;
    if (word == "param") instruction.space = Space::kParameter;
    if (word == "local") instruction.space = Space::kLocal;
    if (word == "const") return false;
  }
  return true;
}

}  // namespace

Handler memoryHandler(const Words& words, Instruction& instruction) {
  const std::string& name = words[0];
  const std::string& type = words.back();
  if (name == "ld" || name == "st") {
    if (!takeSpace(words, instruction) || type.size() < 2) return nullptr;
    const uint32_t bits = static_cast<uint32_t>(std::strtoul(type.c_str() + 1, nullptr, 10));
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64) return nullptr;
    instruction.number = bits / 8;
    instruction.isSigned = type[0] == 's';
    return name == "ld" ? load : store;
  }
  if (name == "atom") {
    if (!takeSpace(words, instruction)) return nullptr;
    if (has(words, "add") && type == "u32") return atomicAdd;
    return has(words, "cas") && type == "b64" ? atomicCompareAndSwap : nullptr;
  }
  if (name == "cvta") {
    instruction.isSecond = has(words, "to");
    return takeSpace(words, instruction) && instruction.space != Space::kGeneric ? convertAddress : nullptr;
  }
  if (words == Words{"cp", "async", "cg", "shared", "global"}) return copyAsync16;
  if (words == Words{"cp", "async", "commit_group"}) return commitAsync;
  if (words == Words{"cp", "async", "wait_group"}) return waitAsync;
  if (words == Words{"prefetch", "tensormap"}) return prefetchMap;
  return words == Words{"prefetch", "global", "L2"} ? prefetch : nullptr;
}

}  // namespace hyperarc::emulator::ptx
