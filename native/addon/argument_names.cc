#include "argument_names.h"

#include <cctype>
#include <string_view>
#include <utility>

namespace hyperarc::addon {
namespace {

constexpr std::pair<std::string_view, std::string_view> kArgumentNames[] = {{"embeddingsBD", "embeddings"},
                                                                            {"labelsB", "labels"},
                                                                            {"rowParametersB4", "rowParameters"},
                                                                            {"sampledClasses", "sampled"},
                                                                            {"valuesRD", "values"}};

}  // namespace

std::string withArgumentNames(const std::string& message) {
  for (const auto& [engineName, name] : kArgumentNames) {
    const bool whole = message.size() > engineName.size() && !std::isalnum(message[engineName.size()]);
    if (whole && message.starts_with(engineName)) return std::string(name) + message.substr(engineName.size());
  }
  return message;
}

}  // namespace hyperarc::addon
