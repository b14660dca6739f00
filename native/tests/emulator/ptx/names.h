// Names of a PTX text: registers, variables, labels, each in its scope; and operands, which are made of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "module.h"

namespace hyperarc::emulator::ptx {

/// Parts between commas that no bracket holds, trimmed; none of an empty text.
std::vector<std::string> splitAtCommas(const std::string& text);
/// Blanks as one space each, none at the ends.
std::string squeezed(const std::string& text);

class Names {
 public:
  explicit Names(Module& module) : module_(module), scopes_(1) {}

  Function& functionOf(const std::string& name);

  void enterScope() { scopes_.emplace_back(); }
  /// Branches to labels of the scope are bound; the others are left to the scope around it.
  void leaveScope(Function& function);
  /// The scope is the module's, and no branch is without its label.
  bool isOutside() const { return scopes_.size() == 1 && scopes_[0].branches.empty(); }

  /// ".reg .f32 %f<9>", ".shared .align 4 .b8 name[8]", …; `function` null: of the module.
  void declareVariable(const std::string& declaration, Function* function);
  Parameter declareParameter(const std::string& declaration, Function& function);
  void declareLabel(const std::string& label, uint32_t instruction);
  /// The instruction that is added next branches there.
  void branchTo(const std::string& label, const Function& function);

  Operand operand(const std::string& text, Instruction& instruction);
  /// An operand, or the two that brackets may hold: an address and coordinates.
  void addOperand(const std::string& text, Instruction& instruction);
  /// "(results), function, (arguments)"; the count of results is left in `number`.
  void parseCall(const std::string& text, Instruction& instruction);

 private:
  struct Scope {
    std::map<std::string, uint32_t> registers;                    // single ones
    std::map<std::string, std::pair<uint32_t, uint32_t>> ranges;  // prefix → first slot, count
    std::map<std::string, uint64_t> addresses;                    // of variables
    std::map<std::string, uint32_t> labels;
    std::vector<std::pair<uint32_t, std::string>> branches;  // instruction, label
  };

  void declareRegisters(const std::string& list, Function& function);
  void declareGlobal(const std::string& declaration, const std::string& name, size_t bytes);
  bool findRegister(const std::string& name, Operand& operand) const;
  bool findAddress(const std::string& name, uint64_t& address) const;
  Operand address(const std::string& text);

  Module& module_;
  std::vector<Scope> scopes_;
};

}  // namespace hyperarc::emulator::ptx
