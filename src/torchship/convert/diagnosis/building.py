"""Compilers, disks and files: what goes wrong around a conversion, not in the model."""

from __future__ import annotations

from torchship.convert.diagnosis.known import Known

TABLE = (
    Known(
        text=r"No working C\+\+ compiler found|InvalidCxxCompiler|CppCompilerError|"
        r"No such file or directory: '(?:[\w/.-]*/)?(?:g\+\+|c\+\+|clang\+\+|gcc)'", op="",
        reason="AOTInductor compiles C++, and there is no C++ compiler on this machine",
        hint="apt install g++ (or name one by CXX=…); the machine that runs the artifact needs none",
    ),
    Known(
        text=r"fatal error: (?P<file>(?:Python|omp)\.h): No such file",
        op="",
        reason="the C++ compiler doesn't find {file}",
        hint="apt install python3-dev libomp-dev, or the like",
    ),
    Known(
        text=r"C\+\+ compile error[\s\S]*?error: .(?:z?uf?\d+|None). was not declared", op="aten.item",
        reason="AOTInductor's C++ loses the number that is made of a tensor's value: {here}",
        hint="keep it a tensor: compare and index with it (torch.arange(most) < n), torch.where instead of a branch; "
        "torchscript and exported keep the number",
    ),
    Known(
        text=r"C\+\+ compile error[\s\S]*?: (?:fatal )?error: (?P<why>[^\n]+)", op="",
        reason="AOTInductor's C++ doesn't compile: {why}",
        hint="it is a fault of the code generator or of the compiler (g++ 11 or newer is wanted); torchscript and "
        "exported need no compiler",
    ),
    Known(
        text=r"undefined reference to|ld returned \d+ exit status|cannot find -l(?P<library>\w+)", op="",
        reason="AOTInductor's code compiles, but can't be linked",
        hint="install the compiler's own libraries (libgomp, libstdc++); torchscript and exported need no compiler",
    ),
    Known(
        text=r"No space left on device|Disk quota exceeded", op="", passing=True,
        reason="there is no room left on the disk for the conversion",
        hint="free some, or put TMPDIR on another disk: a conversion takes several times the model's size",
    ),
    Known(
        text=r"exceeds? (?:the )?maximum protobuf size of 2 ?GB|larger than the 2 ?GiB limit|"
        r"protobuf.*(?:too large|2GB)|Failed to serialize proto|SerializeToString", op="",
        reason="a graph with its weights inside may have 2 GB at most, and this one has more",
        hint="the weights must lie beside it as external data: onnx:export writes them so; or ship model.half()",
    ),
    Known(
        text=r"can't allocate memory|[Cc]annot allocate memory|DefaultCPUAllocator|not enough memory|std::bad_alloc|"
        r"out of memory", op="", passing=True,
        reason="there was not enough memory for the conversion",
        hint="convert one target at a time (--jobs 1), or on a machine with more memory",
    ),
    Known(
        text="", kind=r"^MemoryError", op="", passing=True,
        reason="there was not enough memory for the conversion",
        hint="convert one target at a time (--jobs 1), or on a machine with more memory",
    ),
    Known(
        text=r"indices element out of data bounds", within=r"^(?!.*embedding)",
        reason="made for the example's size, it looks past the end of another one: {here}",
        hint="no number of the example may stay in the graph: sizes as x.shape[…], no loop over a size that the route "
        "unrolls, no .item(), int() or list of sizes",
    ),
    Known(
        text=r"index out of range in self|indices element out of data bounds", op="aten.embedding",
        reason="an index points past the end of its table: {here}",
        hint="declare the range by what the example holds, or clamp: ids.clamp(0, table.num_embeddings - 1)",
    ),
    Known(
        text=r"exit\(|^(?P<status>-?\d+|None)$", kind=r"SystemExit", op="",
        reason="the code called exit({status}) while it was converted: {here}",
        hint="raise an error instead, and only where something is wrong",
    ),
    Known(
        text=r"maximum recursion depth exceeded", op="",
        reason="the model calls itself too deeply for the converter: {here}",
        hint="turn the recursion into a loop",
    ),
)  # fmt: skip
