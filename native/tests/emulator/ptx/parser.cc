#include "parser.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "frame.h"
#include "names.h"
#include "operations.h"

namespace hyperarc::emulator::ptx {
namespace {

/// Comments become blanks; lines stay where they are.
std::string withoutComments(std::string text) {
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    if (text[at] != '/' || (text[at + 1] != '/' && text[at + 1] != '*')) continue;
    const bool isLine = text[at + 1] == '/';
    size_t end = isLine ? text.find('\n', at) : text.find("*/", at);
    end = end == std::string::npos ? text.size() : isLine ? end : end + 2;
    for (; at < end; ++at) {
      if (text[at] != '\n') text[at] = ' ';
    }
  }
  return text;
}

void refuseUnknown(Frame& frame, const Instruction& instruction) {
  refuse(frame, instruction, "an instruction that is not known here");
}

Handler handlerOf(const Words& words, Instruction& instruction) {
  for (const auto find :
       {bitHandler, arithmeticHandler, conversionHandler, memoryHandler, controlHandler, warpHandler, hopperHandler}) {
    Instruction noted = instruction;
    if (const Handler handler = find(words, noted)) {
      instruction = std::move(noted);
      return handler;
    }
  }
  return refuseUnknown;
}

class Parser {
 public:
  Parser(const std::string& text, const std::string& file)
      : text_(withoutComments(text)), module_(std::make_unique<Module>()), names_(*module_) {
    module_->file = file;
  }

  std::unique_ptr<Module> parse() {
    while (skipBlanks()) {
      if (takeLineDirective()) continue;
      const std::string word = peekWord();
      if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".common") {
        at_ += word.size();
      } else if (word == ".entry" || word == ".func") {
        at_ += word.size();
        parseFunction();
      } else if (word == ".pragma") {
        takeUntil(';');
      } else {
        names_.declareVariable(takeUntil(';'), nullptr);
      }
    }
    return std::move(module_);
  }

 private:
  bool skipBlanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) {
      if (text_[at_] == '\n') ++line_;
      ++at_;
    }
    return at_ < text_.size();
  }
  std::string peekWord() const {
    size_t end = at_;
    while (end < text_.size() && !std::isspace(static_cast<unsigned char>(text_[end])) &&
           std::strchr("(){};,", text_[end]) == nullptr) {
      ++end;
    }
    return text_.substr(at_, end - at_);
  }
  /// The text up to a character, which is taken too.
  std::string takeUntil(char end) {
    const size_t found = text_.find(end, at_);
    if (found == std::string::npos) fail("%s:%d: expected '%c'", module_->file.c_str(), line_, end);
    std::string taken = text_.substr(at_, found - at_);
    line_ += static_cast<int>(std::count(taken.begin(), taken.end(), '\n'));
    at_ = found + 1;
    return taken;
  }
  bool takeLineDirective() {
    const std::string word = peekWord();
    if (word != ".version" && word != ".target" && word != ".address_size") return false;
    takeUntil('\n');
    ++line_;
    return true;
  }

  /// What follows .entry or .func.
  void parseFunction() {
    skipBlanks();
    std::string results;
    if (text_[at_] == '(') {
      ++at_;
      results = takeUntil(')');
      skipBlanks();
    }
    const std::string name = peekWord();
    at_ += name.size();
    Function& function = names_.functionOf(name);
    skipBlanks();
    std::string parameters;
    if (text_[at_] == '(') {
      ++at_;
      parameters = takeUntil(')');
    }
    const size_t end = text_.find_first_of(";{", at_);
    if (end == std::string::npos) fail("%s:%d: a function without an end", module_->file.c_str(), line_);
    if (text_[end] == ';') {
      takeUntil(';');
      return;
    }
    const std::string directives = takeUntil('{');
    const size_t cluster = directives.find(".reqnctapercluster");
    if (cluster != std::string::npos) {
      function.cluster = static_cast<unsigned>(
          std::strtoul(directives.c_str() + cluster + std::strlen(".reqnctapercluster"), nullptr, 10));
    }
    names_.enterScope();
    for (const std::string& parameter : splitAtCommas(parameters))
      function.parameters.push_back(names_.declareParameter(parameter, function));
    for (const std::string& result : splitAtCommas(results))
      function.results.push_back(names_.declareParameter(result, function));
    parseBody(function);
  }

  void parseBody(Function& function) {
    int depth = 1;
    while (depth > 0) {
      if (!skipBlanks()) fail("%s: %s has no end", module_->file.c_str(), function.name.c_str());
      const char first = text_[at_];
      if (first == '{') {
        ++at_;
        ++depth;
        names_.enterScope();
      } else if (first == '}') {
        ++at_;
        --depth;
        names_.leaveScope(function);
      } else if (first == '.') {
        const std::string declaration = takeUntil(';');
        if (declaration.rfind(".pragma", 0) != 0) names_.declareVariable(declaration, &function);
      } else if (const std::string label = peekLabel(); !label.empty()) {
        at_ += label.size() + 1;
        names_.declareLabel(label, static_cast<uint32_t>(function.instructions.size()));
      } else {
        const int where = line_;
        parseInstruction(takeUntil(';'), where, function);
      }
    }
    if (!names_.isOutside()) fail("%s: %s: a label that is nowhere", module_->file.c_str(), function.name.c_str());
  }

  std::string peekLabel() const {
    const std::string word = peekWord();
    const size_t colon = word.find(':');
    return colon != std::string::npos && colon > 0 && colon + 1 == word.size() ? word.substr(0, colon) : "";
  }

  void parseInstruction(const std::string& text, int where, Function& function) {
    Instruction instruction;
    instruction.line = where;
    instruction.text = squeezed(text);
    std::string rest = instruction.text;
    if (rest[0] == '@') {
      const size_t end = rest.find(' ');
      instruction.guard = names_.operand(rest.substr(1, end - 1), instruction);
      rest = rest.substr(end + 1);
    }
    const size_t end = rest.find(' ');
    Words words;
    size_t from = 0;
    const std::string name = rest.substr(0, end);
    while (from <= name.size()) {
      const size_t dot = std::min(name.find('.', from), name.size());
      words.push_back(name.substr(from, dot - from));
      from = dot + 1;
    }
    const std::string operands = end == std::string::npos ? "" : rest.substr(end + 1);
    if (words[0] == "bra") {
      names_.branchTo(operands, function);
    } else if (words[0] == "call") {
      names_.parseCall(operands, instruction);
    } else {
      for (const std::string& operand : splitAtCommas(operands)) names_.addOperand(operand, instruction);
    }
    const uint32_t results = instruction.number;  // of a call
    instruction.run = handlerOf(words, instruction);
    if (words[0] == "call") instruction.number = results;
    function.instructions.push_back(std::move(instruction));
  }

  std::string text_;
  size_t at_ = 0;
  int line_ = 1;
  std::unique_ptr<Module> module_;
  Names names_;
};

}  // namespace

std::unique_ptr<Module> parse(const std::string& text, const std::string& file) { return Parser(text, file).parse(); }

}  // namespace hyperarc::emulator::ptx
