// at::Tensor without the macro CHECK that glog brings along: ours (base/check.h) stays as it was.
#pragma once
#pragma push_macro("CHECK")
#undef CHECK
#include <ATen/core/Tensor.h>  // IWYU pragma: export
#include <c10/util/Logging.h>
#pragma pop_macro("CHECK")
