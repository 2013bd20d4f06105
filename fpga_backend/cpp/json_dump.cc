#include <cstdio>

#include "json.h"

namespace hitfabric {
namespace {

void DumpText(const std::string& text, std::string* out) {
  out->push_back('"');
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      out->push_back('\\');
      out->push_back(character);
    } else if (static_cast<unsigned char>(character) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(character));
      out->append(escaped);
    } else {
      out->push_back(character);
    }
  }
  out->push_back('"');
}

}  // namespace

std::string Json::Dump() const {
  std::string out;
  DumpTo(&out);
  return out;
}

void Json::DumpTo(std::string* out) const {
  if (const auto* array = std::get_if<Array>(&value_)) {
    const char* separator = "";
    out->push_back('[');
    for (const Json& item : *array) {
      out->append(separator);
      item.DumpTo(out);
      separator = ",";
    }
    out->push_back(']');
  } else if (const auto* object = std::get_if<Object>(&value_)) {
    const char* separator = "";
    out->push_back('{');
    for (const Member& member : *object) {
      out->append(separator);
      DumpText(member.first, out);
      out->push_back(':');
      member.second.DumpTo(out);
      separator = ",";
    }
    out->push_back('}');
  } else if (const auto* text = std::get_if<std::string>(&value_)) {
    DumpText(*text, out);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    out->append(std::to_string(*integer));
  } else if (const auto* number = std::get_if<double>(&value_)) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "%.17g", *number);
    out->append(digits);
  } else if (const auto* boolean = std::get_if<bool>(&value_)) {
    out->append(*boolean ? "true" : "false");
  } else {
    out->append("null");
  }
}

}  // namespace hitfabric
