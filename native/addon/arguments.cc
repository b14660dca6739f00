#include "arguments.h"

#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

namespace hyperarc::addon {
namespace {

constexpr const char* kArrayTypeNames[] = {"Int8Array",    "Uint8Array",    "Uint8ClampedArray", "Int16Array",
                                           "Uint16Array",  "Int32Array",    "Uint32Array",       "Float32Array",
                                           "Float64Array", "BigInt64Array", "BigUint64Array"};

struct TypedArrayView {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
};

TypedArrayView viewTypedArray(Napi::Value value) {
  TypedArrayView view;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &view.type, &view.length, &view.data, nullptr, nullptr);
  if (status != napi_ok) fail(StatusCode::kInternal, "a typed array could not be read");
  return view;
}

std::string typeName(napi_typedarray_type type) {
  const size_t index = static_cast<size_t>(type);
  return index < std::size(kArrayTypeNames) ? kArrayTypeNames[index] : "typed array";
}

template <typename Element>
std::span<Element> requireTyped(Napi::Value value, const std::string& name, napi_typedarray_type type) {
  if (!value.IsTypedArray()) {
    fail(StatusCode::kDtype, name + ": expected a " + typeName(type) + ", received " + describe(value));
  }
  const TypedArrayView view = viewTypedArray(value);
  if (view.type != type) {
    fail(StatusCode::kDtype, name + ": expected a " + typeName(type) + ", received " + describe(value));
  }
  return {static_cast<Element*>(view.data), view.length};
}

void checkLength(size_t received, const std::string& name, int64_t length, const std::string& meaning) {
  if (static_cast<int64_t>(received) == length) return;
  fail(StatusCode::kShape, name + ": expected length " + std::to_string(length) + " (" + meaning +
                               "), received length " + std::to_string(received));
}

}  // namespace

std::string formatNumber(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

std::string describe(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number:
      return formatNumber(value.As<Napi::Number>().DoubleValue());
    case napi_string: {
      const std::string text = value.As<Napi::String>().Utf8Value();
      return "'" + (text.size() > 40 ? text.substr(0, 40) + "…" : text) + "'";
    }
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    case napi_bigint:
      return "a bigint";
    default:
      break;
  }
  if (value.IsTypedArray()) {
    const TypedArrayView view = viewTypedArray(value);
    return "a " + typeName(view.type) + " of length " + std::to_string(view.length);
  }
  if (value.IsArray()) return "an array of length " + std::to_string(value.As<Napi::Array>().Length());
  return "an object";
}

Napi::Object requireObject(Napi::Value value, const std::string& name) {
  if (!value.IsObject()) fail(StatusCode::kRange, name + ": expected an object, received " + describe(value));
  return value.As<Napi::Object>();
}

Napi::Array requireArray(Napi::Value value, const std::string& name) {
  if (!value.IsArray()) fail(StatusCode::kRange, name + ": expected an array, received " + describe(value));
  return value.As<Napi::Array>();
}

bool requireBoolean(Napi::Value value, const std::string& name) {
  if (!value.IsBoolean()) fail(StatusCode::kRange, name + ": expected true or false, received " + describe(value));
  return value.As<Napi::Boolean>().Value();
}

double requireFiniteNumber(Napi::Value value, const std::string& name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!std::isfinite(number)) {
    fail(StatusCode::kRange, name + ": expected a finite number, received " + describe(value));
  }
  return number;
}

float requireFloat(Napi::Value value, const std::string& name) {
  const double number = requireFiniteNumber(value, name);
  if (std::abs(number) > std::numeric_limits<float>::max()) {
    fail(StatusCode::kRange, name + ": expected a number within fp32's range, received " + describe(value));
  }
  return static_cast<float>(number);
}

int64_t requireInteger(Napi::Value value, const std::string& name, int64_t low, int64_t high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  // The negated form also catches NaN.
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number)) {
    fail(StatusCode::kRange, name + ": expected a whole number in [" + std::to_string(low) + ", " +
                                 std::to_string(high) + "], received " + describe(value));
  }
  return static_cast<int64_t>(number);
}

uint64_t requireUint64(Napi::Value value, const std::string& name) {
  bool lossless = false;
  uint64_t number = 0;
  if (value.IsBigInt()) number = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) fail(StatusCode::kRange, name + ": expected a bigint in [0, 2^64), received " + describe(value));
  return number;
}

std::span<float> requireFloat32(Napi::Value value, const std::string& name) {
  return requireTyped<float>(value, name, napi_float32_array);
}

std::span<double> requireFloat64(Napi::Value value, const std::string& name) {
  return requireTyped<double>(value, name, napi_float64_array);
}

std::span<int32_t> requireInt32(Napi::Value value, const std::string& name) {
  return requireTyped<int32_t>(value, name, napi_int32_array);
}

std::span<float> requireFloat32(Napi::Value value, const std::string& name, int64_t length,
                                const std::string& meaning) {
  const std::span<float> elements = requireFloat32(value, name);
  checkLength(elements.size(), name, length, meaning);
  return elements;
}

std::span<int32_t> requireInt32(Napi::Value value, const std::string& name, int64_t length,
                                const std::string& meaning) {
  const std::span<int32_t> elements = requireInt32(value, name);
  checkLength(elements.size(), name, length, meaning);
  return elements;
}

int64_t productOrMinusOne(int64_t a, int64_t b, int64_t c) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product)) return -1;
  return product <= (int64_t{1} << 53) ? product : -1;
}

int64_t resultLength(int64_t a, int64_t b, int64_t c, const char* name) {
  const int64_t length = productOrMinusOne(a, b, c);
  if (length < 0) fail(StatusCode::kMemory, std::string(name) + ": the result is larger than any memory");
  return length;
}

}  // namespace hyperarc::addon
