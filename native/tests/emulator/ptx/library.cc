#include "library.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "emulator/language.h"
#include "frame.h"
#include "parser.h"
#include "symbols.h"

namespace hyperarc::emulator::ptx {
namespace {

/// A kernel in its file. Its module, which has nothing of the file's other kernels, is made when it is first launched:
/// a test needs few of a hundred thousand lines.
struct Kernel {
  const std::string* text;
  std::string file;
  std::string name;  // mangled
  size_t begin, end;
  std::unique_ptr<Module> module{};
};

/// Kernels of a text: from ".entry" to the brace that ends it.
std::vector<Kernel> kernelsOf(const std::string& text, const std::string& file) {
  constexpr char kEntry[] = ".entry ";
  std::vector<Kernel> kernels;
  for (size_t at = text.find(kEntry); at != std::string::npos; at = text.find(kEntry, at)) {
    const size_t name = at + std::strlen(kEntry);
    size_t end = text.find('{', name);
    for (int depth = 0; end < text.size(); ++end) {
      depth += text[end] == '{' ? 1 : text[end] == '}' ? -1 : 0;
      if (depth == 0) break;
    }
    if (end >= text.size()) fail("%s: a kernel without an end", file.c_str());
    kernels.push_back({&text, file, text.substr(name, text.find_first_of("( \n", name) - name), at, end + 1});
    at = end;
  }
  return kernels;
}

/// All .ptx files of a folder. Never destroyed: queued kernels may outlive everything.
class Library {
 public:
  explicit Library(const std::string& folder) : folder_(folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() != ".ptx") continue;
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      texts_.push_back(std::make_unique<std::string>(text.str()));
      for (Kernel& kernel : kernelsOf(*texts_.back(), entry.path().filename().string())) {
        const std::string name = qualifiedName(kernel.name);
        if (!kernels_.emplace(name, std::move(kernel)).second)
          fail("HYPERARC_EMULATED_PTX %s: two kernels are called %s", folder.c_str(), name.c_str());
      }
    }
    if (kernels_.empty()) fail("HYPERARC_EMULATED_PTX is '%s'; expected a folder with .ptx files", folder.c_str());
  }

  const Kernel& find(const std::string& name, const std::string& launched) {
    const auto found = kernels_.find(name);
    if (found == kernels_.end()) {
      fail("HYPERARC_EMULATED_PTX: no file of %s has the kernel %s: make them anew from these sources", folder_.c_str(),
           name.c_str());
    }
    Kernel& kernel = found->second;
    if (kernel.module == nullptr) {
      kernel.module = parse(withoutOthers(kernel), kernel.file);
      if (!launched.empty() && !(std::ofstream(launched, std::ios::app) << kernel.name + '\n'))
        fail("HYPERARC_EMULATED_PTX_LAUNCHED: %s cannot be written", launched.c_str());
    }
    return kernel;
  }

 private:
  /// The file with blanks in the place of its other kernels, so that lines keep their numbers.
  std::string withoutOthers(const Kernel& kernel) const {
    std::string text = *kernel.text;
    for (const auto& [name, other] : kernels_) {
      if (other.text != kernel.text || other.begin == kernel.begin) continue;
      for (size_t at = other.begin; at < other.end; ++at) {
        if (text[at] != '\n') text[at] = ' ';
      }
    }
    return text;
  }

  std::string folder_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::map<std::string, Kernel> kernels_;
};

Library& libraryOf(const std::string& folder) {
  static auto& all = *new std::map<std::string, std::unique_ptr<Library>>;
  std::unique_ptr<Library>& library = all[folder];
  if (library == nullptr) library = std::make_unique<Library>(folder);
  return *library;
}

}  // namespace

std::function<void()> bodyOf(const Module& module, const Function& function, unsigned cluster,
                             const Arguments& arguments) {
  const char* file = module.file.c_str();
  if (function.parameters.size() != arguments.size()) {
    fail("%s takes %zu parameters in %s and is launched with %zu", function.symbol.c_str(), function.parameters.size(),
         file, arguments.size());
  }
  for (size_t n = 0; n < arguments.size(); ++n) {
    if (function.parameters[n].bytes != arguments[n].size()) {
      fail("%s takes %zu bytes in %s as parameter %zu and is launched with %zu", function.symbol.c_str(),
           function.parameters[n].bytes, file, n, arguments[n].size());
    }
  }
  if (function.cluster != cluster) {
    fail("%s is compiled for clusters of %u in %s and is launched with %u", function.symbol.c_str(), function.cluster,
         file, cluster);
  }
  return [&module, &function, arguments] {
    Frame frame(module, function);
    for (size_t n = 0; n < arguments.size(); ++n)
      std::memcpy(frame.parameters.data() + function.parameters[n].offset, arguments[n].data(), arguments[n].size());
    run(frame);
  };
}

std::function<void()> bodyOf(const std::string& folder, const std::string& launched, const void* kernel,
                             unsigned cluster, const Arguments& arguments) {
  const Kernel& found = libraryOf(folder).find(qualifiedName(symbolAt(kernel)), launched);
  return bodyOf(*found.module, *found.module->functions.at(found.name), cluster, arguments);
}

}  // namespace hyperarc::emulator::ptx
