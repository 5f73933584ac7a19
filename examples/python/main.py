"""Calls a Prism gateway with grpcio: entries, a scan, a list, and what a failed call says."""

import os
import sys
from pathlib import Path

import grpc
from grpc_status import rpc_status

# generate.py makes these modules.
sys.path.insert(0, str(Path(__file__).parent / "gen"))

from prism.common import errors_pb2 as errors
from prism.interfaces.keyvalue import keyvalue_basic_pb2 as entry
from prism.interfaces.keyvalue import keyvalue_basic_pb2_grpc as entry_grpc
from prism.interfaces.keyvalue import keyvalue_scan_pb2 as scan
from prism.interfaces.keyvalue import keyvalue_scan_pb2_grpc as scan_grpc
from prism.interfaces.list import list_basic_pb2 as lists
from prism.interfaces.list import list_basic_pb2_grpc as lists_grpc

PREFIX = "python-example:"
TIMEOUT_SECONDS = 10


def use_entries(channel):
    entries = entry_grpc.KeyValueBasicInterfaceStub(channel)
    for key, name in (("user:1", b"alice"), ("user:2", b"bob")):
        request = entry.SetRequest(key=PREFIX + key, value=name, ttl_seconds=60)
        entries.Set(request, timeout=TIMEOUT_SECONDS)
    got = entries.Get(entry.GetRequest(key=PREFIX + "user:1"), timeout=TIMEOUT_SECONDS)
    print("get user:1:", got.value.decode())

    scans = scan_grpc.KeyValueScanInterfaceStub(channel)
    for found in scans.Scan(scan.ScanRequest(prefix=PREFIX + "user:"), timeout=TIMEOUT_SECONDS):
        print("scan:", found.key.removeprefix(PREFIX), found.value.decode())

    try:
        entries.Get(entry.GetRequest(key=PREFIX + "nobody"), timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        detail = detail_of(error)
        if detail is None or detail.reason != errors.REASON_KEY_NOT_FOUND:
            raise
        reason = errors.Reason.Name(detail.reason)
        print(f"get nobody: {reason}, retryable {str(detail.retryable).lower()}")


def use_list(channel):
    queue = lists_grpc.ListBasicInterfaceStub(channel)
    jobs = PREFIX + "jobs"
    for job in (b"job-1", b"job-2"):
        queue.PushRight(lists.PushRightRequest(list_key=jobs, value=job), timeout=TIMEOUT_SECONDS)
    while (popped := queue.PopLeft(lists.PopLeftRequest(list_key=jobs), timeout=TIMEOUT_SECONDS)).found:
        print("pop:", popped.value.decode())


def detail_of(error):
    """What the gateway says of a failed call; None = the call failed elsewhere."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        detail = errors.Error()
        if packed.Unpack(detail):
            return detail
    return None


address = os.environ.get("PRISM_ADDRESS") or "localhost:8980"
with grpc.insecure_channel(address) as channel:
    try:
        use_entries(channel)
        use_list(channel)
    except grpc.RpcError as error:
        sys.exit(f"the gateway at {address}: {error.code().name}: {error.details()}")
