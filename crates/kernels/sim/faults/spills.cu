// A planted fault: more values alive at once than the registers that are left to a thread. ptxas must refuse it.
extern "C" __global__ void __launch_bounds__(1024, 2) spills(const float *x, float *y, unsigned n) {
    float v[96];
#pragma unroll
    for (int i = 0; i < 96; i++) v[i] = x[i * 1024 + threadIdx.x];
    for (unsigned k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 96; i++) v[i] = v[i] * v[(i + 7) % 96] + v[(i + 31) % 96];
    }
#pragma unroll
    for (int i = 0; i < 96; i++) y[i * 1024 + threadIdx.x] = v[i];
}
