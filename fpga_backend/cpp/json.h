// A small strict JSON reader and writer: model configurations and signatures are a few kilobytes.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace hitfabric {

// Malformed text, or a value of another kind than asked for.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One JSON value. Objects keep the order of their members, so that what is read is written back alike.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(bool value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  // Reads exactly one value; throws JsonError naming the offset of what is wrong.
  static Json Parse(std::string_view text);
  [[nodiscard]] std::string Dump() const;

  // Each throws JsonError when the value is of another kind.
  [[nodiscard]] bool AsBool() const;
  [[nodiscard]] std::int64_t AsInteger() const;
  [[nodiscard]] const std::string& AsString() const;
  [[nodiscard]] const Array& AsArray() const;
  [[nodiscard]] const Object& AsObject() const;
  [[nodiscard]] bool IsString() const { return std::holds_alternative<std::string>(value_); }

  // Member of an object: null when absent, or throws JsonError naming it.
  [[nodiscard]] const Json* Find(std::string_view name) const;
  [[nodiscard]] const Json& At(std::string_view name) const;
  void Set(const std::string& name, Json value);

 private:
  void DumpTo(std::string* out) const;

  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value_ = nullptr;
};

}  // namespace hitfabric
