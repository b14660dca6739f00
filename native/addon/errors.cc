#include "errors.h"

#include <cctype>
#include <string_view>
#include <utility>

namespace hyperarc::addon {
namespace {

/// The engine names the fields of its own structures; these are the same arguments in JavaScript.
constexpr std::pair<std::string_view, std::string_view> kArgumentNames[] = {{"embeddingsBD", "embeddings"},
                                                                            {"labelsB", "labels"},
                                                                            {"rowParametersB4", "rowParameters"},
                                                                            {"sampledClasses", "sampled"},
                                                                            {"valuesRD", "values"}};

std::string withArgumentNames(const std::string& message) {
  for (const auto& [engineName, name] : kArgumentNames) {
    const bool whole = message.size() > engineName.size() && !std::isalnum(message[engineName.size()]);
    if (whole && message.starts_with(engineName)) return std::string(name) + message.substr(engineName.size());
  }
  return message;
}

}  // namespace

Napi::Error toJavaScript(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, withArgumentNames(status.message()));
  error.Set("code", Napi::String::New(env, codeName(status.code())));
  return error;
}

Status currentExceptionStatus() noexcept {
  try {
    throw;
  } catch (const StatusError& error) {
    return error.status;
  } catch (const std::bad_alloc&) {
    return {StatusCode::kMemory, "host memory: expected the allocation to succeed, received none"};
  } catch (const std::exception& error) {
    return {StatusCode::kInternal, error.what()};
  } catch (...) {
    return {StatusCode::kInternal, "unknown native exception"};
  }
}

}  // namespace hyperarc::addon
