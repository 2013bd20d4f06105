// What the functions of the C interface return; 0 is success. detector/compiled.py has the same numbers.

#pragma once

constexpr int kOutOfMemory = 1;
constexpr int kBadIndex = 2;
constexpr int kNotFinite = 3;
constexpr int kCycle = 4;
