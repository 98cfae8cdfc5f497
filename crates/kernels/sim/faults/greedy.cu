// A planted fault: nothing is wrong with it but that it takes more registers than its budget allows.
extern "C" __global__ void greedy(const float *x, float *y, unsigned n) {
    float v[32];
#pragma unroll
    for (int i = 0; i < 32; i++) v[i] = x[i * 128 + threadIdx.x];
    for (unsigned k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 32; i++) v[i] = v[i] * v[(i + 7) % 32] + v[(i + 13) % 32];
    }
#pragma unroll
    for (int i = 0; i < 32; i++) y[i * 128 + threadIdx.x] = v[i];
}
