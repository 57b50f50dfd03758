// Which Han characters are used in one way of writing Chinese only.
#pragma once

namespace volant {
bool is_simplified_only(char32_t code_point);   // 汉: its traditional form is another character
bool is_traditional_only(char32_t code_point);  // 漢
}  // namespace volant
