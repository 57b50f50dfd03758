// Memory of activations. Every step asks for the same sizes again: blocks are
// kept by size and handed out again, on huge pages, instead of being returned
// to the system and faulted in anew (a third of the time of small models).
#pragma once

namespace volant::torch_ops {
// From now on libtorch's CPU tensors take their memory here. Once per process; later calls do nothing.
void use_block_cache();
}  // namespace volant::torch_ops
