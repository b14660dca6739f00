#include "symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "emulator/language.h"
#include "parser.h"

namespace hyperarc::emulator::ptx {
namespace {

struct LoadedFile {
  std::string path;
  uintptr_t base = 0;
};

LoadedFile fileOf(const void* address) {
  struct Search {
    uintptr_t address;
    LoadedFile found;
  } search{reinterpret_cast<uintptr_t>(address), {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        for (int n = 0; n < info->dlpi_phnum; ++n) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[n];
          const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type != PT_LOAD || wanted.address < begin || wanted.address >= begin + segment.p_memsz)
            continue;
          wanted.found = {info->dlpi_name[0] != '\0' ? info->dlpi_name : "/proc/self/exe", info->dlpi_addr};
          return 1;
        }
        return 0;
      },
      &search);
  return search.found;
}

template <typename T>
T readAt(const std::string& file, size_t offset) {
  T value;
  if (offset + sizeof value > file.size()) fail("ptx: a symbol table that reaches beyond its file");
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

/// Functions by address, relative to where the file is loaded.
std::map<uintptr_t, std::string> functionsOf(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  const std::string file = text.str();
  const auto header = readAt<ElfW(Ehdr)>(file, 0);
  std::map<uintptr_t, std::string> functions;
  for (size_t n = 0; n < header.e_shnum; ++n) {
    const auto section = readAt<ElfW(Shdr)>(file, header.e_shoff + n * header.e_shentsize);
    if (section.sh_type != SHT_SYMTAB) continue;
    const auto strings = readAt<ElfW(Shdr)>(file, header.e_shoff + section.sh_link * header.e_shentsize);
    for (size_t at = 0; at < section.sh_size; at += section.sh_entsize) {
      const auto symbol = readAt<ElfW(Sym)>(file, section.sh_offset + at);
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
        functions[symbol.st_value] = file.c_str() + strings.sh_offset + symbol.st_name;
    }
  }
  return functions;
}

}  // namespace

std::string symbolAt(const void* function) {
  static auto& files = *new std::map<std::string, std::map<uintptr_t, std::string>>;
  const LoadedFile file = fileOf(function);
  auto known = files.find(file.path);
  if (known == files.end()) known = files.emplace(file.path, functionsOf(file.path)).first;
  const auto found = known->second.find(reinterpret_cast<uintptr_t>(function) - file.base);
  if (found == known->second.end())
    fail("HYPERARC_EMULATED_PTX: %s has no symbol for a kernel: it must not be stripped", file.path.c_str());
  return found->second;
}

std::string qualifiedName(const std::string& mangled) {
  int status = 0;
  char* text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  if (text == nullptr) return mangled;
  std::string name = text;
  std::free(text);
  // nvcc names an unnamed namespace after the file: _GLOBAL__N__a1ad1ca1_9_passes_cu_500cb7e4.
  constexpr char kUnnamed[] = "_GLOBAL__N__";
  for (size_t at = name.find(kUnnamed); at != std::string::npos; at = name.find(kUnnamed, at)) {
    size_t end = at;
    while (end < name.size() && name[end] != ':') ++end;
    name.replace(at, end - at, "(anonymous namespace)");
  }
  // Parameters: from the last opening parenthesis that belongs to no template argument, to the end.
  int depth = 0;
  for (size_t at = name.size(); at-- > 0;) {
    if (name[at] == ')') ++depth;
    if (name[at] == '(' && --depth == 0) {
      name.resize(at);
      break;
    }
  }
  // The return type that templates show: up to the last blank outside every bracket.
  depth = 0;
  for (size_t at = name.size(); at-- > 0;) {
    if (name[at] == '>' || name[at] == ')') ++depth;
    if (name[at] == '<' || name[at] == '(') --depth;
    if (name[at] == ' ' && depth == 0) {
      name.erase(0, at + 1);
      break;
    }
  }
  return name;
}

}  // namespace hyperarc::emulator::ptx
