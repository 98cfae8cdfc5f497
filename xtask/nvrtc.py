"""Compiles SOURCES/ENTRY to PTX with NVRTC: python nvrtc.py LIBNVRTC SOURCES ENTRY OUT. Strict floating point: no
contraction, no flushing, exact division and roots. The first lines of OUT name what it was made of."""

import ctypes
import hashlib
import pathlib
import sys

library, sources, entry, out = sys.argv[1:]
sources = pathlib.Path(sources)
nvrtc = ctypes.CDLL(library)


def check(code, what):
    if code != 0:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        sys.exit(f"{what}: {nvrtc.nvrtcGetErrorString(code).decode()}")


def text(program, size, get):
    length = ctypes.c_size_t()
    check(size(program, ctypes.byref(length)), "size")
    buffer = ctypes.create_string_buffer(length.value)
    check(get(program, buffer), "text")
    return buffer.value.decode()


options = ["--gpu-architecture=compute_80", "--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"]
names = sorted(p.relative_to(sources).as_posix() for p in sources.rglob("*.cu*") if p.suffix in (".cu", ".cuh"))
digest = hashlib.sha256()
for name in names:
    digest.update(name.encode() + b"\0" + (sources / name).read_bytes() + b"\0")

program = ctypes.c_void_p()
entry = sources / entry
check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), entry.read_bytes(), entry.name.encode(), 0, None, None), "create")
flags = [o.encode() for o in options + [f"--include-path={sources}"]]
code = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
if code != 0:
    sys.exit(text(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog))
major, minor = ctypes.c_int(), ctypes.c_int()
check(nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "version")
ptx = text(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
ptx = "\n".join(line.rstrip() for line in ptx.strip("\n").split("\n")) + "\n"
header = [
    "// Made by `cargo xtask ptx`; do not edit.",
    f"// sources {digest.hexdigest()}",
    f"// options NVRTC {major.value}.{minor.value} {' '.join(options)}",
    f"// body {hashlib.sha256(ptx.encode()).hexdigest()}",
]
pathlib.Path(out).write_text("\n".join(header) + "\n" + ptx)
