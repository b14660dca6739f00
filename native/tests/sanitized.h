// Sanitizers take ten times as long. What they look for, an access or a race, depends on which edges of a shape are
// crossed and not on how often, so that tests which are long for their sizes take smaller ones there; the plain build
// proves the numbers.
#pragma once

namespace hyperarc::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace hyperarc::test
