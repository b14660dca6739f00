// Which handler carries out an instruction, by the words of its name ("ld", "global", "v2", "f32"). Each gives null for
// names that are not its own, and notes in the instruction what the handler needs to know.
#pragma once

#include <string>
#include <vector>

#include "module.h"

namespace hyperarc::emulator::ptx {

using Words = std::vector<std::string>;

inline bool has(const Words& words, const char* word) {
  for (const std::string& one : words) {
    if (one == word) return true;
  }
  return false;
}

Handler arithmeticHandler(const Words& words, Instruction& instruction);  // arithmetic.cc
Handler bitHandler(const Words& words, Instruction& instruction);         // bits.cc
Handler conversionHandler(const Words& words, Instruction& instruction);  // conversions.cc
Handler memoryHandler(const Words& words, Instruction& instruction);      // memory_operations.cc
Handler controlHandler(const Words& words, Instruction& instruction);     // control.cc
Handler warpHandler(const Words& words, Instruction& instruction);        // warp_operations.cc
Handler hopperHandler(const Words& words, Instruction& instruction);      // hopper_operations.cc

}  // namespace hyperarc::emulator::ptx
