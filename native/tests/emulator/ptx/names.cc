#include "names.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

#include "emulator/language.h"
#include "parser.h"

namespace hyperarc::emulator::ptx {
namespace {

bool isSpace(char character) { return std::isspace(static_cast<unsigned char>(character)) != 0; }
bool isDigit(char character) { return std::isdigit(static_cast<unsigned char>(character)) != 0; }

size_t bytesOfType(const std::string& type) { return std::strtoul(type.c_str() + 2, nullptr, 10) / 8; }  // ".u32"

/// ".param .align 8 .b8 name[72]": name, bytes, alignment.
struct Declaration {
  std::string space;
  std::string name;
  size_t bytes = 0;
  size_t alignment = 1;
};

Declaration readDeclaration(const std::string& text) {
  Declaration read;
  size_t element = 0;
  size_t count = 1;
  const std::string plain = squeezed(text.substr(0, text.find('=')));
  size_t at = 0;
  while (at < plain.size()) {
    const size_t end = std::min(plain.find(' ', at), plain.size());
    const std::string word = plain.substr(at, end - at);
    at = end + 1;
    if (word == ".shared" || word == ".global" || word == ".local" || word == ".param" || word == ".const") {
      read.space = word.substr(1);
    } else if (word == ".align") {
      read.alignment = std::strtoul(plain.c_str() + at, nullptr, 10);
      at = std::min(plain.find(' ', at), plain.size()) + 1;
    } else if (word[0] == '.') {
      const size_t bytes = bytesOfType(word);
      if (bytes != 0) element = bytes;
    } else {
      const size_t bracket = word.find('[');
      read.name = word.substr(0, bracket);
      if (bracket != std::string::npos) count = std::strtoul(word.c_str() + bracket + 1, nullptr, 10);  // "[]": 0
    }
  }
  if (read.name.empty() || element == 0) fail("ptx: a declaration that is not understood: %s", plain.c_str());
  read.bytes = element * count;
  read.alignment = std::max(read.alignment, element);
  return read;
}

size_t alignedTo(size_t offset, size_t alignment) { return (offset + alignment - 1) / alignment * alignment; }

const std::map<std::string, Special>& specials() {
  static const std::map<std::string, Special> all = {
      {"%tid.x", Special::kThreadX},    {"%tid.y", Special::kThreadY},
      {"%tid.z", Special::kThreadZ},    {"%ctaid.x", Special::kBlockX},
      {"%ctaid.y", Special::kBlockY},   {"%ctaid.z", Special::kBlockZ},
      {"%ntid.x", Special::kThreadsX},  {"%ntid.y", Special::kThreadsY},
      {"%ntid.z", Special::kThreadsZ},  {"%nctaid.x", Special::kBlocksX},
      {"%nctaid.y", Special::kBlocksY}, {"%nctaid.z", Special::kBlocksZ},
      {"%laneid", Special::kLane},      {"%cluster_ctarank", Special::kClusterRank},
  };
  return all;
}

/// 12, -3, 0x1f, 0f3F800000, 0d3FF0000000000000.
bool readNumber(const std::string& text, uint64_t& bits) {
  if (text.empty() || (!isDigit(text[0]) && text[0] != '-')) return false;
  char* end = nullptr;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'f' || text[1] == 'd')) {
    bits = std::strtoull(text.c_str() + 2, &end, 16);
  } else if (text[0] == '-') {
    bits = static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 0));
  } else {
    bits = std::strtoull(text.c_str(), &end, 0);
  }
  return *end == '\0' || std::strcmp(end, "U") == 0;
}

}  // namespace

std::vector<std::string> splitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (const char character : text) {
    if (std::strchr("([{", character) != nullptr) ++depth;
    if (std::strchr(")]}", character) != nullptr) --depth;
    if (character == ',' && depth == 0) {
      parts.push_back(squeezed(part));
      part.clear();
    } else {
      part += character;
    }
  }
  if (!squeezed(part).empty()) parts.push_back(squeezed(part));
  return parts;
}

std::string squeezed(const std::string& text) {
  std::string result;
  for (const char character : text) {
    if (!isSpace(character)) {
      result += character;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

Function& Names::functionOf(const std::string& name) {
  std::unique_ptr<Function>& function = module_.functions[name];
  if (function == nullptr) {
    function = std::make_unique<Function>();
    function->name = name;
    function->symbol = qualifiedName(name);
  }
  return *function;
}

void Names::leaveScope(Function& function) {
  Scope inner = std::move(scopes_.back());
  scopes_.pop_back();
  for (auto& [instruction, label] : inner.branches) {
    const auto found = inner.labels.find(label);
    if (found != inner.labels.end()) {
      function.instructions[instruction].target = found->second;
    } else {
      scopes_.back().branches.emplace_back(instruction, label);
    }
  }
}

void Names::declareVariable(const std::string& declaration, Function* function) {
  const std::string text = squeezed(declaration);
  if (text.rfind(".reg ", 0) == 0 && function != nullptr) return declareRegisters(text, *function);
  const Declaration read = readDeclaration(text);
  uint64_t address = 0;
  if (read.space == "shared") {
    if (read.bytes != 0) {  // else dynamic, at 0
      module_.staticSharedBytes = static_cast<uint32_t>(alignedTo(module_.staticSharedBytes, read.alignment));
      address = kStaticShared + module_.staticSharedBytes;
      module_.staticSharedBytes += static_cast<uint32_t>(read.bytes);
    }
  } else if (read.space == "global") {
    return declareGlobal(text, read.name, read.bytes);
  } else if (read.space == "local" && function != nullptr) {
    address = function->localBytes = alignedTo(function->localBytes, read.alignment);
    function->localBytes += read.bytes;
  } else if (read.space == "param" && function != nullptr) {
    declareParameter(text, *function);
    return;
  } else {
    fail("%s: a declaration that is not known here: %s", module_.file.c_str(), text.c_str());
  }
  scopes_.back().addresses[read.name] = address;
}

void Names::declareGlobal(const std::string& declaration, const std::string& name, size_t bytes) {
  auto data = std::make_unique<unsigned char[]>(bytes + 16);
  const size_t start = declaration.find('{');
  if (start != std::string::npos) {
    if (declaration.find(" .b8 ") == std::string::npos)
      fail("%s: initial values that are not bytes: %s", module_.file.c_str(), name.c_str());
    size_t at = 0;
    for (const std::string& value : splitAtCommas(declaration.substr(start + 1, declaration.find('}') - start - 1))) {
      if (at == bytes) fail("%s: too many initial values: %s", module_.file.c_str(), name.c_str());
      data[at++] = static_cast<unsigned char>(std::strtoul(value.c_str(), nullptr, 0));
    }
  }
  scopes_.front().addresses[name] = reinterpret_cast<uintptr_t>(data.get());
  module_.variables[name] = std::move(data);
  module_.variableBytes[name] = bytes;
}

Parameter Names::declareParameter(const std::string& declaration, Function& function) {
  const Declaration read = readDeclaration(declaration);
  const size_t offset = alignedTo(function.parameterBytes, read.alignment);
  function.parameterBytes = offset + read.bytes;
  scopes_.back().addresses[read.name] = offset;
  return {read.name, offset, read.bytes};
}

/// ".reg .pred %p<6>" or ".reg .b32 a, b".
void Names::declareRegisters(const std::string& text, Function& function) {
  const size_t type = text.find(' ');
  const size_t list = text.find(' ', type + 1);
  for (const std::string& name : splitAtCommas(text.substr(list + 1))) {
    const size_t angle = name.find('<');
    if (angle == std::string::npos) {
      scopes_.back().registers[name] = function.slots++;
    } else {
      const auto count = static_cast<uint32_t>(std::strtoul(name.c_str() + angle + 1, nullptr, 10));
      scopes_.back().ranges[name.substr(0, angle)] = {function.slots, count};
      function.slots += count;
    }
  }
}

void Names::declareLabel(const std::string& label, uint32_t instruction) {
  if (!scopes_.back().labels.emplace(label, instruction).second)
    fail("%s: a second label %s", module_.file.c_str(), label.c_str());
}

void Names::branchTo(const std::string& label, const Function& function) {
  scopes_.back().branches.emplace_back(static_cast<uint32_t>(function.instructions.size()), label);
}

bool Names::findRegister(const std::string& name, Operand& operand) const {
  size_t digits = name.size();
  while (digits > 0 && isDigit(name[digits - 1])) --digits;
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto single = scope->registers.find(name);
    if (single != scope->registers.end()) {
      operand.slot = single->second;
      operand.kind = Operand::Kind::kRegister;
      return true;
    }
    if (digits == name.size()) continue;
    const auto range = scope->ranges.find(name.substr(0, digits));
    if (range == scope->ranges.end()) continue;
    const auto number = static_cast<uint32_t>(std::strtoul(name.c_str() + digits, nullptr, 10));
    if (number >= range->second.second) continue;
    operand.slot = range->second.first + number;
    operand.kind = Operand::Kind::kRegister;
    return true;
  }
  return false;
}

bool Names::findAddress(const std::string& name, uint64_t& address) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto found = scope->addresses.find(name);
    if (found == scope->addresses.end()) continue;
    address = found->second;
    return true;
  }
  return false;
}

/// What brackets hold: a base, and an offset behind a plus.
Operand Names::address(const std::string& text) {
  Operand operand;
  const size_t plus = text.find('+');
  const std::string base = text.substr(0, plus);
  uint64_t offset = 0;
  if (plus != std::string::npos && !readNumber(text.substr(plus + 1), offset))
    fail("%s: an address that is not understood: %s", module_.file.c_str(), text.c_str());
  if (!findRegister(base, operand)) {
    uint64_t constant = 0;
    if (!findAddress(base, constant) && !readNumber(base, constant))
      fail("%s: an address that is not understood: %s", module_.file.c_str(), text.c_str());
    offset += constant;
  }
  operand.kind = Operand::Kind::kAddress;
  operand.value = offset;
  return operand;
}

Operand Names::operand(const std::string& text, Instruction& instruction) {
  Operand operand;
  if (text == "_") return operand;
  if (text[0] == '!') {
    operand = this->operand(text.substr(1), instruction);
    operand.isNegated = true;
    return operand;
  }
  if (text[0] == '{' || text.find('|') != std::string::npos) {
    std::string list = text[0] == '{' ? text.substr(1, text.rfind('}') - 1) : text;
    for (char& character : list) {
      if (character == '|') character = ',';
    }
    std::vector<Operand> parts;
    for (const std::string& part : splitAtCommas(list)) parts.push_back(this->operand(part, instruction));
    operand.kind = Operand::Kind::kVector;
    operand.slot = static_cast<uint32_t>(instruction.elements.size());
    operand.count = static_cast<uint32_t>(parts.size());
    instruction.elements.insert(instruction.elements.end(), parts.begin(), parts.end());
    return operand;
  }
  if (findRegister(text, operand)) return operand;
  operand.kind = Operand::Kind::kConstant;
  if (readNumber(text, operand.value) || findAddress(text, operand.value)) return operand;
  const auto special = specials().find(text);
  if (special == specials().end())
    fail("%s:%d: an operand that is not understood: %s", module_.file.c_str(), instruction.line, text.c_str());
  operand.kind = Operand::Kind::kSpecial;
  operand.slot = static_cast<uint32_t>(special->second);
  return operand;
}

void Names::addOperand(const std::string& text, Instruction& instruction) {
  if (text[0] != '[') {
    instruction.operands.push_back(operand(text, instruction));
    return;
  }
  const std::vector<std::string> parts = splitAtCommas(text.substr(1, text.rfind(']') - 1));
  instruction.operands.push_back(address(parts.at(0)));
  for (size_t n = 1; n < parts.size(); ++n) instruction.operands.push_back(operand(parts[n], instruction));
}

void Names::parseCall(const std::string& text, Instruction& instruction) {
  std::vector<std::string> parts = splitAtCommas(text);
  const auto listed = [](const std::string& part) { return splitAtCommas(part.substr(1, part.rfind(')') - 1)); };
  size_t at = 0;
  if (parts.at(0)[0] == '(') {
    for (const std::string& result : listed(parts[at++])) addOperand(result, instruction);
  }
  instruction.number = static_cast<uint32_t>(instruction.operands.size());
  instruction.callee = &functionOf(parts.at(at++));
  if (at < parts.size()) {
    for (const std::string& argument : listed(parts[at])) addOperand(argument, instruction);
  }
}

}  // namespace hyperarc::emulator::ptx
