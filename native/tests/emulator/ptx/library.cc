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

struct Kernel {
  const Module* module;
  const Function* function;
};

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
      modules_.push_back(parse(text.str(), entry.path().filename().string()));
      for (const auto& [name, function] : modules_.back()->functions) {
        if (!function->isEntry) continue;
        if (!kernels_.emplace(function->symbol, Kernel{modules_.back().get(), function.get()}).second)
          fail("HYPERARC_EMULATED_PTX %s: two kernels are called %s", folder.c_str(), function->symbol.c_str());
      }
    }
    if (kernels_.empty()) fail("HYPERARC_EMULATED_PTX is '%s'; expected a folder with .ptx files", folder.c_str());
  }

  const Kernel& find(const std::string& name) const {
    const auto found = kernels_.find(name);
    if (found == kernels_.end()) {
      fail("HYPERARC_EMULATED_PTX: no file of %s has the kernel %s: make them anew from these sources", folder_.c_str(),
           name.c_str());
    }
    return found->second;
  }

 private:
  std::string folder_;
  std::vector<std::unique_ptr<Module>> modules_;
  std::map<std::string, Kernel> kernels_;
};

const Library& libraryOf(const std::string& folder) {
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

std::function<void()> bodyOf(const std::string& folder, const void* kernel, unsigned cluster,
                             const Arguments& arguments) {
  const Kernel& found = libraryOf(folder).find(qualifiedName(symbolAt(kernel)));
  return bodyOf(*found.module, *found.function, cluster, arguments);
}

}  // namespace hyperarc::emulator::ptx
