"""RFC-026's integration tests with grpcio, from modules generated of the seed's own .proto text.

Arguments: where the generated modules are, the server's address. Prints "sleep MS" and waits for a line
where server time must pass, and "passed NAME" after each test.
"""

import asyncio
import sys

sys.path.insert(0, sys.argv[1])

import grpc
import keyvalue_basic_pb2 as kv
import keyvalue_basic_pb2_grpc as kv_grpc
import keyvalue_scan_pb2 as scan
import keyvalue_scan_pb2_grpc as scan_grpc
import list_basic_pb2 as lists
import list_basic_pb2_grpc as lists_grpc


def sleep(ms):
    print("sleep", ms, flush=True)
    sys.stdin.readline()


async def test_set_get(keyvalue, scans, queue):
    await keyvalue.Set(kv.SetRequest(key="test-key", value=b"test-value"))
    assert (await keyvalue.Get(kv.GetRequest(key="test-key"))).value == b"test-value"
    await keyvalue.Set(kv.SetRequest(namespace="default", key="schl\u00fcssel/\U0001f511", value=bytes(range(256))))
    assert (await keyvalue.Get(kv.GetRequest(key="schl\u00fcssel/\U0001f511"))).value == bytes(range(256))


async def test_delete(keyvalue, scans, queue):
    await keyvalue.Set(kv.SetRequest(key="delete-me", value=b"data"))
    assert (await keyvalue.Delete(kv.DeleteRequest(key="delete-me"))).found
    try:
        await keyvalue.Get(kv.GetRequest(key="delete-me"))
        raise AssertionError("found")
    except grpc.aio.AioRpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata())


async def test_ttl(keyvalue, scans, queue):
    await keyvalue.Set(kv.SetRequest(key="expires", value=b"soon", ttl_seconds=1))
    assert (await keyvalue.Exists(kv.ExistsRequest(key="expires"))).exists
    sleep(1500)
    assert not (await keyvalue.Exists(kv.ExistsRequest(key="expires"))).exists


async def test_scan(keyvalue, scans, queue):
    for key, value in (("user:2", b"bob"), ("user:1", b"alice"), ("post:1", b"hello")):
        await keyvalue.Set(kv.SetRequest(key=key, value=value))
    entries = [(each.key, each.value) async for each in scans.Scan(scan.ScanRequest(prefix="user:"))]
    assert entries == [("user:1", b"alice"), ("user:2", b"bob")]
    keys = [each.key async for each in scans.ScanKeys(scan.ScanKeysRequest(prefix="user:", limit=1))]
    assert keys == ["user:1"]
    assert (await scans.Count(scan.CountRequest(prefix="user:"))).count == 2


async def push_three(queue, list_key):
    for length, value in enumerate((b"first", b"second", b"third"), 1):
        pushed = await queue.PushRight(lists.PushRightRequest(list_key=list_key, value=value))
        assert pushed.new_length == length
    assert (await queue.Length(lists.LengthRequest(list_key=list_key))).length == 3


async def test_list_fifo(keyvalue, scans, queue):
    await push_three(queue, "queue")
    for value in (b"first", b"second", b"third"):
        popped = await queue.PopLeft(lists.PopLeftRequest(list_key="queue"))
        assert popped.found and popped.value == value
    assert not (await queue.PopLeft(lists.PopLeftRequest(list_key="queue"))).found


async def test_list_stack(keyvalue, scans, queue):
    await push_three(queue, "stack")
    for value in (b"third", b"second", b"first"):
        popped = await queue.PopRight(lists.PopRightRequest(list_key="stack"))
        assert popped.found and popped.value == value
    assert not (await queue.PopRight(lists.PopRightRequest(list_key="stack"))).found


async def main():
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        async with grpc.aio.insecure_channel(sys.argv[2], compression=compression) as channel:
            stubs = (
                kv_grpc.KeyValueBasicInterfaceStub(channel),
                scan_grpc.KeyValueScanInterfaceStub(channel),
                lists_grpc.ListBasicInterfaceStub(channel),
            )
            for each in (test_set_get, test_delete, test_ttl, test_scan, test_list_fifo, test_list_stack):
                await each(*stubs)
                print("passed", each.__name__, flush=True)


asyncio.run(main())
