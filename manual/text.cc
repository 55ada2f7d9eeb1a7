#include "manual/text.h"

namespace postpone::manual {

std::string replaced(std::string text, std::string_view part, std::string_view replacement) {
  for (std::size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + replacement.size()))
    text.replace(at, part.size(), replacement);
  return text;
}

}  // namespace postpone::manual
