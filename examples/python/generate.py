"""Makes Python modules of ../../proto in gen/, for main.py."""

import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
PROTO = HERE / "../../proto"
GEN = HERE / "gen"

FILES = [
    "prism/options.proto",
    "prism/common/errors.proto",
    "prism/interfaces/keyvalue/keyvalue_basic.proto",
    "prism/interfaces/keyvalue/keyvalue_scan.proto",
    "prism/interfaces/list/list_basic.proto",
]

GEN.mkdir(exist_ok=True)
# protoc's own file descriptor.proto, which options.proto imports, comes with grpcio-tools.
GOOGLE = Path(protoc.__file__).parent / "_proto"
sys.exit(
    protoc.main(
        ["protoc", f"-I{PROTO}", f"-I{GOOGLE}", f"--python_out={GEN}", f"--grpc_python_out={GEN}", *FILES]
    )
)
