// The engine names the fields of its own structures; these are the same arguments as JavaScript knows them. Knows
// nothing of napi.
#pragma once

#include <string>

namespace hyperarc::addon {

/// `message` of the engine with the argument's own name at its head, e.g. "labelsB[3]: …" → "labels[3]: …".
std::string withArgumentNames(const std::string& message);

}  // namespace hyperarc::addon
