// All kernels of the crate in one module. `cargo xtask ptx` compiles it to `kernels.ptx`.

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name)                                                                                     \
    extern __shared__ float4 name##_raw[];                                                                             \
    type *name = (type *)name##_raw
#endif

// A kernel takes one structure by value, so that there is no order of arguments to get wrong.
#ifndef KERNEL
#define KERNEL(name, Args) extern "C" __global__ void name(const __grid_constant__ Args args)
#endif

#include "act/kernel.cu"

// A module for one network (`special.rs`) has what is compiled for it.
#if !defined(NETWORK_SHAPE) || defined(WHOLE_MODULE)
#include "mlp/kernel.cu"
#include "recurrent/kernel.cu"
#include "rollout/kernel.cu"
#include "roofline/kernel.cu"
#include "update/kernel.cu"
#include "optim/kernel.cu"
#include "mix/kernel.cu"
#include "td_target/kernel.cu"
#include "resident/kernel.cu"
#include "resident/learn.cu"
#endif
