// A planted fault: an array with an index that is known only at run time, and so lies on the stack.
extern "C" __global__ void stack(const unsigned *x, float *y, unsigned n) {
    float v[16];
#pragma unroll
    for (int i = 0; i < 16; i++) v[i] = (float)i;
    for (unsigned k = 0; k < n; k++) v[x[k] % 16] += 1.0f;
    y[threadIdx.x] = v[x[n] % 16];
}
