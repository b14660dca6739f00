// A PTX text as the harness runs it: functions with decoded instructions. docs/testing-cuda.md, "The compiled kernels".
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace hyperarc::emulator::ptx {

struct Frame;
struct Instruction;
struct Function;

/// Carries out one instruction; `frame.next` is already the one after it.
using Handler = void (*)(Frame& frame, const Instruction& instruction);

inline constexpr uint32_t kNoSlot = 0xffffffffu;

struct Operand {
  enum class Kind : uint8_t {
    kNone,      // `_`: a result that is not wanted
    kRegister,  // `slot`
    kConstant,  // `value`, its bits
    kAddress,   // register `slot` (or kNoSlot) plus `value`
    kVector,    // `count` of the instruction's elements from `slot` on
    kSpecial,   // `slot` is a Special
  };
  Kind kind = Kind::kNone;
  bool isNegated = false;  // !p
  uint32_t slot = kNoSlot;
  uint32_t count = 0;
  uint64_t value = 0;
};

enum class Special : uint32_t {
  kThreadX,
  kThreadY,
  kThreadZ,
  kBlockX,
  kBlockY,
  kBlockZ,
  kThreadsX,
  kThreadsY,
  kThreadsZ,
  kBlocksX,
  kBlocksY,
  kBlocksZ,
  kClusterRank,
  kLane,
};

/// State spaces. An address of shared memory is an offset of 32 bits: dynamic memory from 0, static variables from
/// kStaticShared; in the cluster's window (mapa) the block's rank plus one stands above bit 24. Parameters and local
/// variables are named by offsets too, everything else, and every generic address, by the host's.
enum class Space : uint8_t { kGeneric, kGlobal, kShared, kParameter, kLocal };
inline constexpr uint32_t kStaticShared = 1u << 23;
inline constexpr int kClusterWindowShift = 24;

struct Instruction {
  Handler run = nullptr;
  Operand guard{};  // kNone: always
  std::vector<Operand> operands;
  std::vector<Operand> elements;  // of the vectors among the operands
  uint32_t target = 0;            // of a branch
  uint32_t number = 0;            // what the handler needs to know from the name: elements, columns, dimensions …
  Space space = Space::kGeneric;
  bool isSigned = false;
  bool isSecond = false;  // the other one of two forms
  const Function* callee = nullptr;
  int line = 0;
  std::string text;
};

struct Parameter {
  std::string name;
  size_t offset = 0;
  size_t bytes = 0;
};

struct Function {
  std::string name;    // mangled
  std::string symbol;  // demangled, without parameters: what messages say, and what a kernel is found by
  std::vector<Parameter> parameters;
  std::vector<Parameter> results;  // of a .func, behind the parameters
  size_t parameterBytes = 0;       // with results and the arguments of calls
  size_t localBytes = 0;
  uint32_t slots = 0;  // registers
  unsigned cluster = 1;
  std::vector<Instruction> instructions;
};

struct Module {
  std::string file;
  std::map<std::string, std::unique_ptr<Function>> functions;         // by mangled name
  std::map<std::string, std::unique_ptr<unsigned char[]>> variables;  // .global, by name
  std::map<std::string, size_t> variableBytes;
  std::map<std::string, uint32_t> shared;  // offsets of .shared variables
  uint32_t staticSharedBytes = 0;
};

}  // namespace hyperarc::emulator::ptx
