// Checked reading of JavaScript values. Reading a property can run user code (a getter, a Proxy), which may detach a
// buffer or dispose an object: so every property is read first, and pointers are taken and states checked only after.
#pragma once

#include <napi.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "errors.h"

namespace hyperarc::addon {

/// What a value is, for messages; runs no user code.
std::string describe(Napi::Value value);
std::string formatNumber(double number);

Napi::Object requireObject(Napi::Value value, const std::string& name);
Napi::Array requireArray(Napi::Value value, const std::string& name);
bool requireBoolean(Napi::Value value, const std::string& name);
/// A finite number that a float can hold.
float requireFloat(Napi::Value value, const std::string& name);
double requireFiniteNumber(Napi::Value value, const std::string& name);
/// A whole number in [low, high].
int64_t requireInteger(Napi::Value value, const std::string& name, int64_t low, int64_t high);
/// A BigInt in [0, 2^64).
uint64_t requireUint64(Napi::Value value, const std::string& name);

/// One of a fixed list of strings.
template <typename Enum, size_t N>
Enum requireOneOf(Napi::Value value, const std::string& name, const std::pair<const char*, Enum> (&choices)[N]) {
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    for (const auto& [choice, result] : choices) {
      if (text == choice) return result;
    }
  }
  std::string expected;
  for (const auto& [choice, result] : choices) expected += (expected.empty() ? "" : ", ") + std::string(choice);
  fail(StatusCode::kRange, name + ": expected one of " + expected + ", received " + describe(value));
}

/// The elements of a Float32Array (E_DTYPE otherwise). Valid until JavaScript runs again.
std::span<float> requireFloat32(Napi::Value value, const std::string& name);
std::span<double> requireFloat64(Napi::Value value, const std::string& name);
std::span<int32_t> requireInt32(Napi::Value value, const std::string& name);
/// The same with its length checked (E_SHAPE); `meaning` explains the expected length, e.g. "batch · dim".
std::span<float> requireFloat32(Napi::Value value, const std::string& name, int64_t length, const std::string& meaning);
std::span<int32_t> requireInt32(Napi::Value value, const std::string& name, int64_t length, const std::string& meaning);

/// a · b · c, each ≥ 0, or -1 where it does not fit in 2^53.
int64_t productOrMinusOne(int64_t a, int64_t b, int64_t c = 1);
/// Elements of the result `name` [a, b, c]; E_MEMORY where no array can have so many.
int64_t resultLength(int64_t a, int64_t b, int64_t c, const char* name);

}  // namespace hyperarc::addon
