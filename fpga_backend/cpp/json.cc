#include "json.h"

#include <cerrno>
#include <cstdlib>

namespace hitfabric {
namespace {

constexpr int kDeepest = 64;  // deeper nesting is refused, so that hostile text cannot exhaust the stack

void AppendUtf8(std::uint32_t code, std::string* out) {
  const auto put = [out](std::uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json Document() {
    Json value = Value(0);
    SkipSpace();
    if (position_ != text_.size()) Fail("text after the value");
    return value;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw JsonError("JSON offset " + std::to_string(position_) + ": " + what);
  }

  [[nodiscard]] char Peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  bool Take(std::string_view word) {
    if (text_.substr(position_, word.size()) != word) return false;
    position_ += word.size();
    return true;
  }

  void Expect(std::string_view word) {
    if (!Take(word)) Fail("expected '" + std::string(word) + "'");
  }

  void SkipSpace() {
    while (position_ < text_.size() && std::string_view(" \t\n\r").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }

  Json Value(int depth) {
    if (depth > kDeepest) Fail("nested too deeply");
    SkipSpace();
    switch (Peek()) {
      case '{':
        return ObjectValue(depth);
      case '[':
        return ArrayValue(depth);
      case '"':
        return Text();
      case 't':
        Expect("true");
        return true;
      case 'f':
        Expect("false");
        return false;
      case 'n':
        Expect("null");
        return {};
      default:
        return Number();
    }
  }

  Json ObjectValue(int depth) {
    Expect("{");
    Json object{Json::Object{}};
    SkipSpace();
    if (Take("}")) return object;
    do {
      SkipSpace();
      std::string name = Text();
      if (object.Find(name) != nullptr) Fail("member '" + name + "' appears twice");
      SkipSpace();
      Expect(":");
      object.Set(name, Value(depth + 1));
      SkipSpace();
    } while (Take(","));
    Expect("}");
    return object;
  }

  Json ArrayValue(int depth) {
    Expect("[");
    Json::Array array;
    SkipSpace();
    if (Take("]")) return array;
    do {
      array.push_back(Value(depth + 1));
      SkipSpace();
    } while (Take(","));
    Expect("]");
    return array;
  }

  std::string Text() {
    Expect("\"");
    std::string out;
    while (true) {
      if (position_ >= text_.size()) Fail("unfinished string");
      const char character = text_[position_++];
      if (character == '"') return out;
      if (static_cast<unsigned char>(character) < 0x20) Fail("control character in a string");
      if (character == '\\') {
        Escape(&out);
      } else {
        out.push_back(character);
      }
    }
  }

  void Escape(std::string* out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char name = Peek();
    ++position_;
    if (name == 'u') {
      AppendUtf8(Unicode(), out);
      return;
    }
    const auto found = kNames.find(name);
    if (name == '\0' || found == std::string_view::npos) Fail("unknown escape");
    out->push_back(kMeanings[found]);
  }

  std::uint32_t Unicode() {
    const std::uint32_t first = FourHexDigits();
    if (first >= 0xDC00 && first < 0xE000) Fail("unpaired surrogate");
    if (first < 0xD800 || first >= 0xDC00) return first;
    Expect("\\u");
    const std::uint32_t second = FourHexDigits();
    if (second < 0xDC00 || second >= 0xE000) Fail("unpaired surrogate");
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  std::uint32_t FourHexDigits() {
    std::uint32_t value = 0;
    for (int digit = 0; digit < 4; ++digit, ++position_) {
      const auto found = std::string_view("0123456789abcdefABCDEF").find(Peek());
      if (Peek() == '\0' || found == std::string_view::npos) Fail("expected four hexadecimal digits");
      value = value * 16 + static_cast<std::uint32_t>(found < 16 ? found : found - 6);
    }
    return value;
  }

  bool Digits() {
    const std::size_t start = position_;
    while (Peek() >= '0' && Peek() <= '9') ++position_;
    return position_ > start;
  }

  Json Number() {
    const std::size_t start = position_;
    Take("-");
    const bool leading_zero = Peek() == '0';
    const std::size_t first = position_;
    if (!Digits()) Fail("expected a value");
    if (leading_zero && position_ - first > 1) Fail("number starts with 0");
    bool integral = true;
    if (Take(".")) {
      integral = false;
      if (!Digits()) Fail("expected digits after the point");
    }
    if (Take("e") || Take("E")) {
      integral = false;
      if (!Take("+")) Take("-");
      if (!Digits()) Fail("expected digits of the exponent");
    }
    const std::string digits(text_.substr(start, position_ - start));
    errno = 0;
    if (integral) {
      const std::int64_t value = std::strtoll(digits.c_str(), nullptr, 10);
      if (errno == 0) return value;
    }
    return std::strtod(digits.c_str(), nullptr);
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

template <typename Kind, typename Variant>
const Kind& Get(const Variant& value, const char* kind) {
  const Kind* found = std::get_if<Kind>(&value);
  if (found == nullptr) throw JsonError(std::string("JSON value is not ") + kind);
  return *found;
}

}  // namespace

Json Json::Parse(std::string_view text) { return Parser(text).Document(); }

bool Json::AsBool() const { return Get<bool>(value_, "a boolean"); }
std::int64_t Json::AsInteger() const { return Get<std::int64_t>(value_, "an integer"); }
const std::string& Json::AsString() const { return Get<std::string>(value_, "a string"); }
const Json::Array& Json::AsArray() const { return Get<Array>(value_, "an array"); }
const Json::Object& Json::AsObject() const { return Get<Object>(value_, "an object"); }

const Json* Json::Find(std::string_view name) const {
  for (const Member& member : AsObject()) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

const Json& Json::At(std::string_view name) const {
  const Json* found = Find(name);
  if (found == nullptr) throw JsonError("JSON object has no member '" + std::string(name) + "'");
  return *found;
}

void Json::Set(const std::string& name, Json value) {
  auto& object = std::get<Object>(value_);
  for (Member& member : object) {
    if (member.first == name) {
      member.second = std::move(value);
      return;
    }
  }
  object.emplace_back(name, std::move(value));
}

}  // namespace hitfabric
