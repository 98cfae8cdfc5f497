// A stand-in for NVIDIA's driver library: the functions that cudarc calls, over kernels compiled for the host. Memory
// is poisoned and each allocation ends at a guard page; a launch with a wrong shape, a module whose entries are not
// those of the sources, a barrier that not all threads reach, are errors as on a device. What it pretends to be is set
// by COACT_SIM_DEVICES, COACT_SIM_DRIVER, COACT_SIM_MEMORY and COACT_SIM_ORDER, the order of threads between two barriers
// (0 ascending, 1 descending, 2 strided, 3 and more: shuffled from this seed).
#define WHOLE_MODULE
#include "cuda_sim.hpp"
#include "../src/cuda/kernels.cu"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

namespace sim {
uint3 thread, block, block_dim, grid_dim;
static const Kernel *kernels = nullptr;

Kernel::Kernel(const char *name, size_t argument, void (*body)(const void *))
    : name(name), argument(argument), body(body), next(kernels) {
    kernels = this;
}

static const size_t PAGE = 4096, STACK = 128 * 1024;
static std::map<char *, size_t> mappings; // of pages, by where the memory in them begins

static size_t number(const char *name, size_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}

static char *allocate(size_t bytes) {
    const size_t rounded = (bytes + 15) / 16 * 16;
    const size_t pages = (rounded + PAGE - 1) / PAGE * PAGE;
    char *at = (char *)mmap(nullptr, pages + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    mprotect(at + pages, PAGE, PROT_NONE);
    memset(at, 0xff, pages);
    char *begin = at + pages - rounded;
    mappings[begin] = pages + PAGE;
    return begin;
}

static void release(char *begin) {
    auto found = mappings.find(begin);
    if (found == mappings.end()) return;
    munmap((char *)((uintptr_t)begin / PAGE * PAGE), found->second);
    mappings.erase(found);
}

// Where a fiber stands, and the change from one to another.
#if defined(__x86_64__)
// Saves the registers that a call must keep, on the stack that is left. `ucontext` would ask the kernel each time.
asm(".text\nsim_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp, (%rdi)\nmovq (%rsi), %rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
struct Place {
    void *stack_pointer;
};
extern "C" void sim_switch(Place *save, const Place *load);
static void change(Place &from, const Place &to) { sim_switch(&from, &to); }
static void begin(Place &place, char *stack, void (*body)()) {
    // Six registers and the address to return to; the body then finds the stack as after a call.
    void **top = (void **)((uintptr_t)(stack + STACK) / 16 * 16) - 8;
    memset(top, 0, 64);
    top[6] = (void *)body;
    place.stack_pointer = top;
}
#else
typedef ucontext_t Place;
static void change(Place &from, const Place &to) { swapcontext(&from, &to); }
static void begin(Place &place, char *stack, void (*body)()) {
    getcontext(&place);
    place.uc_stack.ss_sp = stack;
    place.uc_stack.ss_size = STACK;
    place.uc_link = nullptr;
    makecontext(&place, body, 0);
}
#endif

// One thread of a block.
struct Fiber {
    Place place;
    char *stack = nullptr;
    bool ended = false, at_barrier = false;
    // The collective of its warp that it waits in, and what it brought.
    void (*collective)(void *const *) = nullptr;
    void *brought = nullptr;
};

// A block that runs: of a cooperative launch all do at once.
struct Block {
    uint3 at;
    char *memory;
    std::vector<Fiber> fibers;
    size_t interval;
    bool ended;
};

static std::vector<Block> blocks;
static Block *within;
static Fiber *current;
static Place scheduler;
static const Kernel *running;
static const void *argument;

char *shared() { return within->memory; }

void barrier() {
    current->at_barrier = true;
    change(current->place, scheduler);
}

void collective(void (*of_warp)(void *const *lanes), void *mine) {
    current->collective = of_warp;
    current->brought = mine;
    change(current->place, scheduler);
}

void spin() { change(current->place, scheduler); }

static void enter() {
    running->body(argument);
    current->ended = true;
    change(current->place, scheduler);
}

// Thread `i` of `n` in the order of an interval between barriers.
static size_t ordered_thread(size_t i, size_t n, size_t order, size_t interval) {
    if (order == 0) return i;
    if (order == 1) return n - 1 - i;
    if (order == 2) return (i * 7919 + interval * 104729) % n; // 7919 is prime, and no block has so many threads
    static std::vector<size_t> shuffled;
    if (i == 0) {
        unsigned long long state = order * 0x9E3779B97F4A7C15ull + interval;
        shuffled.resize(n);
        for (size_t k = 0; k < n; k++) shuffled[k] = k;
        for (size_t k = n; k-- > 1;) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            std::swap(shuffled[k], shuffled[(state >> 33) % (k + 1)]);
        }
    }
    return shuffled[i];
}

// A thread that touches what is behind an allocation says so before the process ends.
static void touched(int number, siginfo_t *info, void *) {
    if (running)
        fprintf(stderr, "%s: thread %u of block %u,%u,%u touches memory at %p, which is nobody's\n", running->name,
                thread.x, block.x, block.y, block.z, info->si_addr);
    signal(number, SIG_DFL);
    raise(number);
}

static void watch() {
    struct sigaction action = {};
    action.sa_sigaction = touched;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

// Computes the collectives that warps of the first `n` threads wait in, and lets those warps go on.
enum Warps { NONE_WAITS, SOME_GO_ON, LANES_MISSING };
static Warps run_collectives(std::vector<Fiber> &fibers, size_t n) {
    Warps found = NONE_WAITS;
    for (size_t first = 0; first < n; first += 32) {
        void (*of_warp)(void *const *) = nullptr;
        void *brought[32];
        size_t lanes = 0;
        for (size_t i = first; i < n && i < first + 32; i++) {
            if (!of_warp) of_warp = fibers[i].collective;
            if (of_warp && fibers[i].collective == of_warp) brought[lanes++] = fibers[i].brought;
        }
        if (!of_warp) continue;
        if (lanes < 32) {
            fprintf(stderr, "%s: %zu of 32 lanes of the warp that begins with thread %zu wait in a collective for the others\n",
                    running->name, lanes, first);
            return LANES_MISSING;
        }
        of_warp(brought);
        for (size_t i = first; i < first + 32; i++) fibers[i].collective = nullptr;
        found = SOME_GO_ON;
    }
    return found;
}

static void begin_block(Block &b, uint3 at, size_t n, size_t shared_bytes) {
    b.at = at;
    b.memory = allocate(shared_bytes);
    b.interval = 0;
    b.ended = false;
    if (b.fibers.size() < n) b.fibers.resize(n);
    for (size_t i = 0; i < n; i++) {
        Fiber &fiber = b.fibers[i];
        if (!fiber.stack) fiber.stack = (char *)malloc(STACK);
        fiber.ended = fiber.at_barrier = false;
        fiber.collective = nullptr;
        begin(fiber.place, fiber.stack, enter);
    }
}

// Lets every thread of a block run to where it waits: for its warp, for the block, or for other blocks. `moved` says whether
// any came further than to wait for other blocks once more.
static bool run_interval(Block &b, size_t n, size_t order, bool &moved) {
    within = &b;
    block = b.at;
    size_t ended = 0, spinning = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t t = ordered_thread(i, n, order, b.interval);
        current = &b.fibers[t];
        if (!current->ended && !current->at_barrier) {
            thread = {(unsigned)(t % block_dim.x), (unsigned)(t / block_dim.x), 0};
            change(scheduler, current->place);
            const bool spins = !current->ended && !current->at_barrier && !current->collective;
            spinning += spins;
            moved |= !spins;
        }
        ended += current->ended;
    }
    b.interval++;
    const Warps warps = run_collectives(b.fibers, n);
    if (warps == LANES_MISSING) return false;
    if (warps == SOME_GO_ON || spinning > 0) return true;
    b.ended = ended == n;
    if (ended > 0 && !b.ended) {
        fprintf(stderr, "%s: %zu of %zu threads ended while the others wait at a barrier\n", running->name, ended, n);
        return false;
    }
    for (size_t i = 0; i < n; i++) b.fibers[i].at_barrier = false;
    return true;
}

// Runs the first `count` blocks to their end, an interval of each at a time.
static bool run_blocks(size_t count, size_t n, size_t order) {
    std::vector<size_t> turns(count);
    for (size_t round = 0;; round++) {
        bool moved = false, ended = true;
        for (size_t i = 0; i < count; i++) turns[i] = ordered_thread(i, count, order, round);
        for (size_t turn : turns) {
            Block &b = blocks[turn];
            if (b.ended) continue;
            if (!run_interval(b, n, order, moved)) return false;
            ended &= b.ended;
        }
        if (ended) return true;
        if (!moved) {
            fprintf(stderr, "%s: all blocks wait for each other\n", running->name);
            return false;
        }
    }
}

static bool launch(const Kernel *kernel, const void *args, size_t shared_bytes, bool cooperative) {
    running = kernel;
    argument = args;
    const size_t order = number("COACT_SIM_ORDER", 2), n = (size_t)block_dim.x * block_dim.y;
    const size_t all = (size_t)grid_dim.x * grid_dim.y * grid_dim.z, at_once = cooperative ? all : 1;
    if (blocks.size() < at_once) blocks.resize(at_once);
    bool good = true;
    for (size_t first = 0; good && first < all; first += at_once) {
        for (size_t i = 0; i < at_once; i++) {
            const size_t b = first + i;
            const uint3 at = {(unsigned)(b % grid_dim.x), (unsigned)(b / grid_dim.x % grid_dim.y),
                              (unsigned)(b / grid_dim.x / grid_dim.y)};
            begin_block(blocks[i], at, n, shared_bytes);
        }
        good = run_blocks(at_once, n, order);
        for (size_t i = 0; i < at_once; i++) release(blocks[i].memory);
    }
    running = nullptr;
    return good;
}

static size_t taken() {
    size_t sum = 0;
    for (auto &mapping : mappings) sum += mapping.second;
    return sum;
}
} // namespace sim

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_PTX = 218, NOT_FOUND = 500, LAUNCH_FAILED = 719, COOPERATIVE_TOO_LARGE = 720, NOT_WHILE_CAPTURING = 900 };
typedef unsigned long long Pointer;
typedef double Event; // microseconds

static double now() {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
static size_t devices() { return sim::number("COACT_SIM_DEVICES", 1); }
static size_t memory_size() { return sim::number("COACT_SIM_MEMORY", (size_t)1 << 30); }
// A launch, as a graph keeps it.
struct Node {
    const sim::Kernel *kernel;
    uint3 grid, block;
    unsigned shared_bytes;
    std::vector<char> argument;
    bool cooperative;
};
typedef std::vector<Node> Graph;
static Graph *capturing; // what launches go to instead of being run

static std::string module_text;
static int handle;
static unsigned shared_limit = 48 * 1024;

// Whether the module has the kernel with an argument of this size.
static bool has_entry(const sim::Kernel *kernel) {
    const std::string entry = std::string(".entry ") + kernel->name + "(";
    const std::string size = std::string(kernel->name) + "_param_0[" + std::to_string(kernel->argument) + "]";
    const size_t at = module_text.find(entry);
    if (at == std::string::npos) return false;
    const size_t end = module_text.find(")", at);
    return module_text.substr(at, end - at).find(size) != std::string::npos;
}

// Copies from page-locked memory, which a device reads in its own time: here as late as it may, just before the stream goes
// on, so that memory which is written again too early shows.
struct LateCopy {
    void *to;
    const void *from;
    size_t bytes;
};
static std::vector<LateCopy> late;
static std::map<const char *, size_t> locked; // page-locked memory, by where it begins

static bool is_locked(const void *at) {
    auto next = locked.upper_bound((const char *)at);
    if (next == locked.begin()) return false;
    --next;
    return (const char *)at < next->first + next->second;
}

static void catch_up() {
    for (const LateCopy &copy : late) memcpy(copy.to, copy.from, copy.bytes);
    late.clear();
}

static int run(const Node &node) {
    catch_up();
    sim::block_dim = node.block;
    sim::grid_dim = node.grid;
    return sim::launch(node.kernel, node.argument.data(), node.shared_bytes, node.cooperative) ? OK : LAUNCH_FAILED;
}

// What it pretends to have of what limits cooperative launches.
enum { MULTIPROCESSORS = 3, BLOCKS_OF_EACH = 2 };

static int start(const void *function, uint3 grid, uint3 block, unsigned shared_bytes, void **params, bool cooperative) {
    if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || block.z != 1) return INVALID_VALUE;
    if (block.x * block.y > 1024 || grid.y > 65535 || grid.z > 65535 || shared_bytes > shared_limit) return INVALID_VALUE;
    if (cooperative && grid.x * grid.y * grid.z > MULTIPROCESSORS * BLOCKS_OF_EACH) return COOPERATIVE_TOO_LARGE;
    const sim::Kernel *kernel = (const sim::Kernel *)function;
    const char *argument = (const char *)params[0];
    Node node = {kernel, grid, block, shared_bytes, {argument, argument + kernel->argument}, cooperative};
    if (capturing) return capturing->push_back(node), OK;
    return run(node);
}

extern "C" {
int cuInit(unsigned) {
    sim::watch();
    return devices() == 0 ? NO_DEVICE : OK;
}
int cuDriverGetVersion(int *version) { return *version = (int)sim::number("COACT_SIM_DRIVER", 12000), OK; }
int cuDeviceGetCount(int *count) { return *count = (int)devices(), OK; }
int cuDeviceGet(int *device, int ordinal) {
    if (ordinal < 0 || (size_t)ordinal >= devices()) return INVALID_DEVICE;
    return *device = ordinal, OK;
}
int cuDeviceGetName(char *name, int length, int) { return snprintf(name, length, "stand-in"), OK; }
int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = memory_size(), OK; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 16: return *value = MULTIPROCESSORS, OK;
    case 75: return *value = 9, OK;           // compute capability, major
    case 76: return *value = 0, OK;           // and minor
    case 97: return *value = 232448, OK;      // shared memory of a block, at most
    default: return *value = 1, OK;           // memory pools: supported
    }
}
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = &handle, OK; }
int cuDevicePrimaryCtxRelease_v2(int) { return OK; }
int cuCtxSetCurrent(void *) { return OK; }
int cuCtxGetCurrent(void **context) { return *context = &handle, OK; }
int cuCtxSynchronize() { return catch_up(), OK; }
int cuStreamCreate(void **stream, unsigned) { return *stream = &handle, OK; }
int cuStreamDestroy_v2(void *) { return OK; }
int cuStreamSynchronize(void *) {
    if (capturing) return NOT_WHILE_CAPTURING;
    return catch_up(), OK;
}
int cuStreamWaitEvent(void *, void *, unsigned) { return OK; }
int cuMemAlloc_v2(Pointer *at, size_t bytes) {
    if (bytes == 0) return INVALID_VALUE;
    if (capturing) return NOT_WHILE_CAPTURING;
    if (sim::taken() + bytes > memory_size()) return OUT_OF_MEMORY;
    return *at = (Pointer)sim::allocate(bytes), OK;
}
int cuMemAllocAsync(Pointer *at, size_t bytes, void *) { return cuMemAlloc_v2(at, bytes); }
int cuMemFree_v2(Pointer at) { return catch_up(), sim::release((char *)at), OK; }
int cuMemFreeAsync(Pointer at, void *) { return cuMemFree_v2(at); }
int cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, void *) {
    if (capturing) return NOT_WHILE_CAPTURING;
    if (is_locked(from)) return late.push_back({(void *)to, from, bytes}), OK;
    return catch_up(), memcpy((void *)to, from, bytes), OK;
}
int cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, void *) {
    if (capturing) return NOT_WHILE_CAPTURING;
    return catch_up(), memcpy(to, (void *)from, bytes), OK;
}
int cuMemHostAlloc(void **at, size_t bytes, unsigned) {
    if (bytes == 0) return INVALID_VALUE;
    if (posix_memalign(at, sim::PAGE, bytes)) return OUT_OF_MEMORY;
    memset(*at, 0xff, bytes);
    return locked[(char *)*at] = bytes, OK;
}
int cuMemFreeHost(void *at) {
    catch_up();
    if (!locked.erase((char *)at)) return INVALID_VALUE;
    return free(at), OK;
}
int cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void *) {
    if (capturing) return NOT_WHILE_CAPTURING;
    return catch_up(), memset((void *)to, value, bytes), OK;
}
int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *total = memory_size();
    return *free = *total - sim::taken(), OK;
}
int cuModuleLoadData(void **module, const void *image) {
    module_text = (const char *)image;
    // A module for one network has some of the kernels; they run as all others do.
    const bool is_part = module_text.rfind("// for one network", 0) == 0;
    for (const sim::Kernel *k = sim::kernels; k; k = k->next) {
        if (!has_entry(k) && !(is_part && module_text.find(std::string(".entry ") + k->name + "(") == std::string::npos)) {
            fprintf(stderr, "the module has no kernel %s with an argument of %zu bytes: it is stale\n", k->name, k->argument);
            return INVALID_PTX;
        }
    }
    return *module = &handle, OK;
}
int cuModuleUnload(void *) { return OK; }
int cuModuleGetFunction(const void **function, void *, const char *name) {
    for (const sim::Kernel *k = sim::kernels; k; k = k->next) {
        if (!strcmp(k->name, name)) return *function = k, OK;
    }
    return NOT_FOUND;
}
int cuLaunchKernel(const void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared_bytes, void *, void **params, void **) {
    return start(function, {gx, gy, gz}, {bx, by, bz}, shared_bytes, params, false);
}
int cuLaunchCooperativeKernel(const void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                              unsigned bz, unsigned shared_bytes, void *, void **params) {
    return start(function, {gx, gy, gz}, {bx, by, bz}, shared_bytes, params, true);
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int, size_t) { return *blocks = BLOCKS_OF_EACH, OK; }
int cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *, int, size_t, unsigned) {
    return *blocks = BLOCKS_OF_EACH, OK;
}
int cuStreamBeginCapture_v2(void *, int) {
    if (capturing) return NOT_WHILE_CAPTURING;
    return capturing = new Graph(), OK;
}
int cuStreamEndCapture(void *, void **graph) {
    *graph = capturing;
    capturing = nullptr;
    return *graph ? OK : INVALID_VALUE;
}
int cuStreamIsCapturing(void *, int *status) { return *status = capturing ? 1 : 0, OK; }
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) {
    return *exec = new Graph(*(const Graph *)graph), OK;
}
int cuGraphUpload(void *, void *) { return OK; }
int cuGraphLaunch(void *exec, void *) {
    if (capturing) return NOT_WHILE_CAPTURING;
    for (const Node &node : *(const Graph *)exec) {
        const int error = run(node);
        if (error != OK) return error;
    }
    return OK;
}
int cuGraphExecDestroy(void *exec) { return delete (Graph *)exec, OK; }
int cuGraphDestroy(void *graph) { return delete (Graph *)graph, OK; }
int cuEventCreate(void **event, unsigned) { return *event = new Event(0), OK; }
int cuEventRecord(void *event, void *) { return *(Event *)event = now(), OK; }
int cuEventSynchronize(void *) { return OK; }
int cuEventQuery(void *) { return OK; }
int cuEventElapsedTime(float *ms, void *start, void *end) {
    return *ms = (float)((*(Event *)end - *(Event *)start) / 1000), OK;
}
int cuEventDestroy_v2(void *event) { return delete (Event *)event, OK; }
int cuFuncSetAttribute(const void *, int attribute, int value) {
    if (attribute != 8 || value > 163 * 1024) return INVALID_VALUE;
    return shared_limit = value, OK;
}
int cuFuncGetAttribute(int *value, int, const void *) { return *value = 0, OK; }
int cuGetErrorName(int error, const char **text) {
    switch (error) {
    case INVALID_VALUE: return *text = "CUDA_ERROR_INVALID_VALUE", OK;
    case OUT_OF_MEMORY: return *text = "CUDA_ERROR_OUT_OF_MEMORY", OK;
    case NO_DEVICE: return *text = "CUDA_ERROR_NO_DEVICE", OK;
    case INVALID_PTX: return *text = "CUDA_ERROR_INVALID_PTX", OK;
    case LAUNCH_FAILED: return *text = "CUDA_ERROR_LAUNCH_FAILED", OK;
    default: return *text = "CUDA_ERROR", OK;
    }
}
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }
}
