"""Python's clients against servers of one cluster: etcd3gw by the JSON gateway, aetcd by gRPC. Each check prints one line, "PASS name" or
"FAIL name: reason".

In go the URLs of two servers for each of the clients and the files of a client certificate; what starts the servers is not here.
"""

import argparse
import asyncio
import hashlib
import io
import sys
import threading
import time
from urllib.parse import urlsplit

import aetcd
import etcd3gw

PATIENCE = 60


def want(what, seen, expected):
    if seen != expected:
        raise AssertionError(f"{what}: {seen!r}, expected {expected!r}")


# etcd3gw


def gateway_kv(here, there):
    here.put("gw/a", "1")
    want("created twice", (here.create("gw/b", b"\x00\xff"), there.create("gw/b", "x")), (True, False))
    want("replaced", (there.replace("gw/a", "1", "2"), here.replace("gw/a", "1", "3")), (True, False))
    found = there.get_prefix("gw/", sort_order="descend", sort_target="key")
    want("the prefix", [(value, kv["key"], kv["version"]) for value, kv in found], [(b"\x00\xff", b"gw/b", "1"), (b"2", b"gw/a", "2")])
    old = here.get("gw/a", revision=int(found[1][1]["create_revision"]))
    want("an old revision", old, [b"1"])
    want("a page", there.get("gw/", range_end="gw0", limit=1), [b"2"])
    want("deleted", (here.delete("gw/a"), here.delete("gw/a"), there.delete_prefix("gw/")), (True, False, True))
    want("left", there.get("gw/a"), [])


def gateway_errors(here, there):
    try:
        here.get("gw/a", revision=1 << 40)
        raise AssertionError("a future revision is read")
    except etcd3gw.exceptions.Etcd3Exception as error:
        if "required revision is a future revision" not in f"{error} {getattr(error, 'detail_text', '')}":
            raise


def gateway_txn(here, there):
    key, value = "dHhu", "dg=="
    put = {"request_put": {"key": key, "value": value}}
    txn = {
        "compare": [{"key": key, "result": "EQUAL", "target": "VERSION", "version": 0}],
        "success": [put],
        "failure": [{"request_range": {"key": key}}],
    }
    first, second = here.transaction(txn), there.transaction(txn)
    want("first", first.get("succeeded"), True)
    want("second", (second.get("succeeded"), second["responses"][0]["response_range"]["kvs"][0]["value"]), (None, value))


def gateway_lease(here, there):
    lease = here.lease(ttl=60)
    there.put("lease/gw", "x", lease=lease)
    want("keys", lease.keys(), [b"lease/gw"])
    want("refreshed", lease.refresh(), 60)
    ttl = lease.ttl()
    if not 50 <= ttl <= 60:
        raise AssertionError(f"time to live: {ttl}")
    lease.revoke()
    want("after the revocation", (there.get("lease/gw"), lease.refresh()), ([], -1))


def gateway_lock(here, there):
    one, two = here.lock("python", ttl=60), there.lock("python", ttl=60)
    want("acquired", (one.acquire(), two.acquire()), (True, False))
    want("whose", (one.is_acquired(), two.is_acquired()), (True, False))
    want("released", (two.release(), one.release(), two.acquire(), two.release()), (False, True, True, True))


def gateway_watch(here, there):
    here.put("watch/gw/0", "before")
    start = int(here.get("watch/gw/0", metadata=True)[0][1]["mod_revision"]) + 1
    events, cancel = there.watch_prefix("watch/gw/", start_revision=start)
    alarm = threading.Timer(PATIENCE, cancel)
    alarm.start()
    for number in range(3):
        here.put("watch/gw/1", str(number))
    here.delete("watch/gw/1")
    seen = []
    for event in events:
        seen.append((event.get("type", "PUT"), event["kv"]["key"], event["kv"].get("value")))
        if len(seen) == 4:
            cancel()
    alarm.cancel()
    expected = [("PUT", b"watch/gw/1", b"%d" % number) for number in range(3)] + [("DELETE", b"watch/gw/1", None)]
    want("events", seen, expected)


def gateway_cluster(here, there):
    leaders = {client.status()["leader"] for client in (here, there)}
    members = here.members()
    urls = {url for member in members for url in member["clientURLs"]}
    for client in (here, there):
        if client.base_url not in urls:
            raise AssertionError(f"{client.base_url} is none of {urls}")
    want("leaders", leaders - {member["ID"] for member in members}, set())
    want("how many", len(leaders), 1)


# aetcd


async def grpc_kv(here, there):
    await here.put(b"py/a", b"1")
    put = await there.put(b"py/a", b"2", prev_kv=True)
    want("the previous value", put.prev_kv.value, b"1")
    await here.put(b"py/b", b"\x00\xff")
    got = await there.get_prefix(b"py/", sort_order="descend", sort_target="key")
    want("the prefix", [(kv.key, kv.value, kv.version) for kv in got], [(b"py/b", b"\x00\xff", 1), (b"py/a", b"2", 2)])
    want("replaced", (await here.replace(b"py/a", b"2", b"3"), await here.replace(b"py/a", b"2", b"4")), (True, False))
    deleted = await there.delete_prefix(b"py/", prev_kv=True)
    want("deleted", [kv.value for kv in deleted], [b"3", b"\x00\xff"])
    want("left", await here.get(b"py/a"), None)


async def grpc_txn(here, there):
    t = here.transactions
    await here.put(b"py/txn", b"1")
    succeeded, responses = await there.transaction(
        compare=[t.value(b"py/txn") == b"1", t.version(b"py/txn") > 0, t.create(b"py/none") == 0],
        success=[t.put(b"py/txn", b"2"), t.get(b"py/txn"), t.delete(b"py/none")],
        failure=[],
    )
    want("answers", (succeeded, responses[1][0][0], responses[2].response_delete_range.deleted), (True, b"2", 0))


async def grpc_watch(here, there):
    watch = await there.watch_prefix(b"py/watch/", prev_kv=True)

    async def read():
        seen = []
        async for event in watch:
            seen.append((str(event.kind), event.kv.value, event.prev_kv.value if event.prev_kv else None))
            if len(seen) == 3:
                return seen

    reading = asyncio.ensure_future(read())
    await here.put(b"py/watch/a", b"1")
    await here.put(b"py/watch/a", b"2")
    await here.delete(b"py/watch/a")
    seen = await reading
    await watch.cancel()
    want("events", [kind for kind, _, _ in seen], ["PUT", "PUT", "DELETE"])
    want("values", [value for _, value, _ in seen], [b"1", b"2", b""])
    want("before", [before or None for _, _, before in seen], [None, b"1", b"2"])


async def grpc_lease(here, there):
    lease = await here.lease(2)
    await there.put(b"py/lease", b"x", lease=lease)
    want("keys", list(await lease.keys()), [b"py/lease"])
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        await lease.refresh()
        await asyncio.sleep(0.5)
    want("kept alive", (await there.get(b"py/lease")).value, b"x")
    start = (await there.get(b"py/lease")).mod_revision + 1
    gone = await there.watch_once(b"py/lease", timeout=PATIENCE, start_revision=start)
    want("expired", str(gone.kind), "DELETE")


async def grpc_lock(here, there):
    """Workers on both servers count in turns; none reads what another is about to write."""

    async def work(client):
        for _ in range(5):
            async with client.lock(b"py/lock", ttl=30):
                before = await client.get(b"py/count")
                await client.put(b"py/count", b"%d" % (int(before.value if before else 0) + 1))

    await asyncio.gather(*(work(client) for client in (here, there, here, there)))
    want("counted", (await here.get(b"py/count")).value, b"20")


async def grpc_maintenance(here, there):
    status = await here.status()
    if status.db_size <= 0 or not status.leader:
        raise AssertionError(f"{vars(status)}")
    want("alarms", [alarm async for alarm in there.list_alarms()], [])
    await there.defragment()
    file = io.BytesIO()
    await here.snapshot(file)
    content, digest = file.getvalue()[:-32], file.getvalue()[-32:]
    want("the hash at the end", hashlib.sha256(content).digest(), digest)
    put = await here.put(b"py/compact", b"")
    await here.compact(put.header.revision, physical=True)


GATEWAY = [gateway_kv, gateway_errors, gateway_txn, gateway_lease, gateway_lock, gateway_watch, gateway_cluster]
GRPC = [grpc_kv, grpc_txn, grpc_watch, grpc_lease, grpc_lock, grpc_maintenance]


def run(name, check):
    try:
        check()
        print("PASS", name, flush=True)
        return True
    except BaseException as error:  # whatever it is, the other checks go on
        cause = f" ({error.__context__})" if error.__context__ else ""
        print(f"FAIL {name}: {type(error).__name__}: {error}{cause}".replace("\n", " "), flush=True)
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", required=True, help="URLs for etcd3gw, comma separated")
    parser.add_argument("--grpc", required=True, help="URLs for aetcd, which knows no TLS")
    for name in ("cacert", "cert", "key"):
        parser.add_argument(f"--{name}")
    args = parser.parse_args()

    def gateway(url):
        parts = urlsplit(url)
        files = {"ca_cert": args.cacert, "cert_cert": args.cert, "cert_key": args.key}
        return etcd3gw.Etcd3Client(host=parts.hostname, port=parts.port, protocol=parts.scheme, timeout=PATIENCE, **files)

    async def grpc(check):
        # What a watch does is not to end by this client's time limit for a call.
        here, there = (aetcd.Client(host=urlsplit(url).hostname, port=urlsplit(url).port) for url in args.grpc.split(","))
        async with here, there:
            await asyncio.wait_for(check(here, there), PATIENCE)

    here, there = map(gateway, args.gateway.split(","))
    passed = [run(check.__name__, lambda: check(here, there)) for check in GATEWAY]
    passed += [run(check.__name__, lambda: asyncio.run(grpc(check))) for check in GRPC]
    sys.exit(0 if all(passed) else 1)


main()
