"""A TCP proxy that breaks things on command: for tests that need a source or a broker that misbehaves.

It listens on 127.0.0.1 and forwards to a target. Tests make it misbehave:

    with Proxy(host, port) as proxy:              # proxy.port is where clients connect
        proxy.cut()                               # close all connections; reset=True: with RST; only_dumps=True: streams
        proxy.stall(5, DOWN)                      # nothing moves in this direction for 5 s (None: until resume())
        proxy.delay(0.1); proxy.limit(50_000)     # seconds later; bytes a second (None: as fast as it can)
        proxy.refuse(); proxy.accept()            # new connections are closed at once, or taken again
        proxy.target = (host, other_port)         # for connections made from now on
        proxy.mangle(flip(when=rows), times=1)    # the next matching event of a replication stream

With protocol="mariadb" (the default) it follows the packets of MariaDB's protocol, so it knows which connections are
replication streams (COM_BINLOG_DUMP was sent) and can change single events in them. protocol="blind" knows nothing and
forwards anything: Kafka, HTTP.

A mangler is called with an Event and answers the bytes that go to the client instead (see Event.packet), or None for
"not this one". The ones below repair the packet's sequence number and, where the point is another one, the CRC32. Their
effect is counted: proxy.mangled. Everything is thread-safe; no method waits for the clients.

From the command line: proxy.py HOST:PORT [--listen PORT] [--blind]; then one command a line on stdin, for example
`cut`, `cut reset`, `stall 5 down`, `resume`, `delay 0.1`, `limit 50000`, `refuse`, `accept`, `mangle flip`, `quit`.
"""
import argparse
import asyncio
import contextlib
import random
import socket
import struct
import sys
import threading
import time
import zlib

UP, DOWN, BOTH = "up", "down", "both"   # client to target, target to client

HEADER = 19                             # of an event: time 4, type 1, server 4, size 4, end position 4, flags 2
PACKET_MAX = 0xFFFFFF                   # a longer packet goes on in the next one
COM_BINLOG_DUMP = (0x12, 0x1E)
QUERY, STOP, ROTATE, FORMAT_DESCRIPTION, XID, TABLE_MAP, HEARTBEAT, GTID = 2, 3, 4, 15, 16, 19, 27, 162
ROWS = {23, 24, 25, 30, 31, 32, 166, 167, 168}


class Event:
    """One event of a replication stream, in its packet: a zero byte, header, body, and CRC32 where the server sends it."""

    def __init__(self, payload, number, has_crc):
        self.data, self.number, self.has_crc = payload[1:], number, has_crc
        self.type = self.data[4]

    def packet(self, data=None, fix_crc=True, step=0, length=None):
        """The packet that carries `data` (by default this event's), `step` packets later."""
        data = self.data if data is None else data
        if fix_crc and self.has_crc and len(data) >= HEADER + 4:
            data = data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))
        payload = b"\0" + data
        return struct.pack("<I", len(payload) if length is None else length)[:3] + bytes([(self.number + step) & 255]) + payload


class Answer:
    """What goes out instead of an event's packet; `step`: how many packets more than one; `close`: end of connection."""

    def __init__(self, data, step=0, close=False, reset=False):
        self.data, self.step, self.close, self.reset = data, step, close, reset


# ---- which events ---------------------------------------------------------------------------------------------------

def any_event(event):
    return event.type != HEARTBEAT


def rows(event):
    return event.type in ROWS


def of_type(*types):
    return lambda event: event.type in types


# ---- what to do with them -------------------------------------------------------------------------------------------

def flip(when=rows, at=None):
    """One byte is wrong, in the body; the checksum notices."""
    def mangler(event):
        if not when(event) or len(event.data) < HEADER + 5:
            return None
        place = at if at is not None else random.randrange(HEADER, len(event.data) - 4)
        data = bytearray(event.data)
        data[place] ^= 0x5A
        return Answer(event.packet(bytes(data), fix_crc=False))
    return mangler


def forge(when=rows, at=None):
    """One byte is wrong and the checksum agrees with it: only sense can notice. `at` < 0 counts from the body's end."""
    def mangler(event):
        if not when(event) or len(event.data) < HEADER + 5:
            return None
        end = len(event.data) - (4 if event.has_crc else 0)
        place = random.randrange(HEADER, end) if at is None else at if at >= 0 else end + at
        data = bytearray(event.data)
        data[place] ^= 0x5A
        return Answer(event.packet(bytes(data)))
    return mangler


def truncate(when=rows, keep=None, fix_crc=False):
    """The event ends too soon; the packet's length says so too."""
    def mangler(event):
        if not when(event) or len(event.data) < HEADER + 5:
            return None
        size = keep if keep is not None else (HEADER + len(event.data)) // 2
        return Answer(event.packet(event.data[:size], fix_crc=fix_crc))
    return mangler


def overlong(when=rows, more=7):
    """Bytes behind the event's end."""
    def mangler(event):
        return Answer(event.packet(event.data + b"\xEE" * more, fix_crc=False)) if when(event) else None
    return mangler


def size_field(when=rows, size=0x7FFFFFFF):
    """The header names another size; the checksum agrees with it."""
    def mangler(event):
        if not when(event):
            return None
        return Answer(event.packet(event.data[:9] + struct.pack("<I", size) + event.data[13:]))
    return mangler


def unknown_type(when=rows, to=0x7E):
    """A type that nobody knows, with a valid checksum."""
    def mangler(event):
        return Answer(event.packet(event.data[:4] + bytes([to]) + event.data[5:])) if when(event) else None
    return mangler


def packet_length(when=rows, more=1000):
    """The packet claims more bytes than it has: what follows is taken for its end."""
    def mangler(event):
        return Answer(event.packet(length=min(len(event.data) + 1 + more, PACKET_MAX))) if when(event) else None
    return mangler


def empty_packet(when=rows):
    """A packet of no bytes at all stands in the event's place."""
    def mangler(event):
        return Answer(b"\0\0\0" + bytes([event.number & 255])) if when(event) else None
    return mangler


def sequence(when=rows, by=7):
    """The packet's sequence number is wrong."""
    def mangler(event):
        return Answer(event.packet(step=by)) if when(event) else None
    return mangler


def drop(when=rows):
    """The event is left out; the numbers of the packets close the gap."""
    def mangler(event):
        return Answer(b"", step=-1) if when(event) else None
    return mangler


def repeat(when=rows):
    """The event comes twice."""
    def mangler(event):
        return Answer(event.packet() + event.packet(step=1), step=1) if when(event) else None
    return mangler


def cut_inside(when=any_event, reset=False):
    """Half of the packet, then the connection ends."""
    def mangler(event):
        if not when(event):
            return None
        whole = event.packet()
        return Answer(whole[:max(5, len(whole) // 2)], close=True, reset=reset)
    return mangler


MANGLERS = {f.__name__: f for f in (flip, forge, truncate, overlong, size_field, unknown_type, packet_length, empty_packet,
                                    sequence, drop, repeat, cut_inside)}


# ---- connections ----------------------------------------------------------------------------------------------------

class Packets:
    """Splits bytes into packets of MariaDB's protocol."""

    def __init__(self):
        self.pending = bytearray()

    def add(self, data):
        """[(sequence number, payload, whole packet)] that are complete now."""
        self.pending += data
        out, at = [], 0
        while len(self.pending) - at >= 4:
            size = int.from_bytes(self.pending[at:at + 3], "little")
            if len(self.pending) - at - 4 < size:
                break
            raw = bytes(self.pending[at:at + 4 + size])
            out.append((raw[3], raw[4:], raw))
            at += 4 + size
        del self.pending[:at]
        return out


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.client_reader, self.client_writer = proxy, reader, writer
        self.target_reader = self.target_writer = None
        self.is_dump, self.has_crc = False, True
        self.step = 0               # how many packets more than the server sent
        self.continued = False      # the last packet goes on in the next
        self.bytes = {UP: 0, DOWN: 0}
        self.packets = {UP: Packets(), DOWN: Packets()}

    async def run(self):
        try:
            self.target_reader, self.target_writer = await asyncio.open_connection(*self.proxy.target)
            self.target_writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tasks = [asyncio.ensure_future(self.pump(UP, self.client_reader, self.target_writer)),
                     asyncio.ensure_future(self.pump(DOWN, self.target_reader, self.client_writer))]
            _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass
        finally:
            self.close()

    def close(self, reset=False):
        for writer in (self.client_writer, self.target_writer):
            if writer is None:
                continue
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def pump(self, direction, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.proxy.gate(direction)
                for part, ending in self.treat(direction, data):
                    await self.send(direction, writer, part)
                    if ending is not None:
                        await writer.drain()
                        self.close(ending.reset)
                        return

    async def send(self, direction, writer, data):
        rate = self.proxy.rate
        step = max(1, int(rate / 20)) if rate else len(data)
        for at in range(0, len(data), max(step, 1)):
            part = data[at:at + step]
            if rate:
                await asyncio.sleep(len(part) / rate)
            writer.write(part)
            await writer.drain()
            self.bytes[direction] += len(part)
            self.proxy.bytes[direction] += len(part)

    def treat(self, direction, data):
        """Yields what goes out: (bytes, None), or (bytes, Answer) when the connection ends there."""
        if self.proxy.protocol != "mariadb":
            yield data, None
            return
        if direction == UP:
            for number, payload, _ in self.packets[UP].add(data):
                if number == 0 and payload and payload[0] in COM_BINLOG_DUMP:
                    self.is_dump = True
            yield data, None
            return
        out = bytearray()
        for number, payload, raw in self.packets[DOWN].add(data):
            answer = self.consider(number, payload, raw)
            out += answer.data
            self.step += answer.step
            if answer.close:
                yield bytes(out), answer
                return
        yield bytes(out), None

    def consider(self, number, payload, raw):
        whole = not self.continued and len(payload) < PACKET_MAX
        self.continued = len(payload) == PACKET_MAX
        if self.step:
            number += self.step
            raw = raw[:3] + bytes([number & 255]) + raw[4:]
        if not (self.is_dump and whole and len(payload) > HEADER and payload[0] == 0):
            return Answer(raw)
        event = Event(payload, number, self.has_crc)
        self.proxy.events[event.type] = self.proxy.events.get(event.type, 0) + 1
        if event.type == FORMAT_DESCRIPTION:
            self.has_crc = event.data[-5] == 1      # the last byte before the event's own CRC32
        return self.proxy.ask_manglers(event) or Answer(raw)


class Proxy:
    def __init__(self, host, port, listen=0, protocol="mariadb"):
        self.target, self.protocol, self.rate, self.delayed = (host, int(port)), protocol, None, 0.0
        self.connections, self.mangled, self.refused, self.accepted = [], 0, 0, 0
        self.events, self.bytes = {}, {UP: 0, DOWN: 0}
        self.refusing, self.stalled, self.manglers = False, {UP: 0.0, DOWN: 0.0}, []
        self.lock, self.loop, started = threading.Lock(), asyncio.new_event_loop(), threading.Event()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", listen))
        self.host, self.port = self.socket.getsockname()
        self.thread = threading.Thread(target=self.serve, args=(started,), daemon=True, name=f"proxy {self.port}")
        self.thread.start()
        started.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- commands, from any thread

    def cut(self, reset=False, only_dumps=False):
        """Ends connections; returns how many."""
        def now():
            chosen = [c for c in self.connections if c.is_dump or not only_dumps]
            for c in chosen:
                c.close(reset)
            return len(chosen)
        return self.ask(now)

    def stall(self, seconds=None, direction=BOTH):
        """Nothing is forwarded in this direction; connections stay open."""
        until = float("inf") if seconds is None else time.monotonic() + seconds
        for d in (UP, DOWN) if direction == BOTH else (direction,):
            self.stalled[d] = until

    def resume(self):
        self.stalled = {UP: 0.0, DOWN: 0.0}

    def delay(self, seconds):
        self.delayed = seconds

    def limit(self, bytes_a_second):
        self.rate = bytes_a_second

    def refuse(self):
        self.refusing = True

    def accept(self):
        self.refusing = False

    def mangle(self, mangler, times=None, skip=0):
        """The next `times` events that match, after `skip` of them; None: all. Returns a handle for forgive()."""
        entry = {"mangler": mangler, "left": times, "skip": skip}
        with self.lock:
            self.manglers.append(entry)
        return entry

    def forgive(self, entry=None):
        """Ends one mangling, or all."""
        with self.lock:
            self.manglers = [e for e in self.manglers if entry is not None and e is not entry]

    def dumps(self):
        """How many replication streams are open."""
        return self.ask(lambda: sum(c.is_dump for c in self.connections))

    def close(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.stop.set)
            self.thread.join(10)

    # ---- inside

    def ask(self, function):
        async def call():
            return function()
        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def ask_manglers(self, event):
        with self.lock:
            for entry in self.manglers:
                answer = entry["mangler"](event)
                if answer is None:
                    continue
                if entry["skip"] > 0:
                    entry["skip"] -= 1
                    continue
                if entry["left"] is not None:
                    entry["left"] -= 1
                    if entry["left"] <= 0:
                        self.manglers.remove(entry)
                self.mangled += 1
                return answer
        return None

    async def gate(self, direction):
        if self.delayed:
            await asyncio.sleep(self.delayed)
        while time.monotonic() < self.stalled[direction]:
            await asyncio.sleep(0.02)

    async def take(self, reader, writer):
        if self.refusing:
            self.refused += 1
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        self.accepted += 1
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        try:
            await connection.run()
        finally:
            self.connections.remove(connection)

    async def main(self, started):
        self.stop = asyncio.Event()
        server = await asyncio.start_server(self.take, sock=self.socket, backlog=100)
        started.set()
        await self.stop.wait()
        server.close()
        for c in list(self.connections):
            c.close()

    def serve(self, started):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.main(started))
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


# ---- command line ---------------------------------------------------------------------------------------------------

def obey(proxy, words):
    verb, rest = words[0], words[1:]
    if verb == "cut":
        return f"{proxy.cut(reset='reset' in rest, only_dumps='dumps' in rest)} connections cut"
    if verb == "stall":
        return proxy.stall(float(rest[0]) if rest else None, rest[1] if len(rest) > 1 else BOTH)
    if verb in ("delay", "limit"):
        return getattr(proxy, verb)(float(rest[0]) if rest else None if verb == "limit" else 0.0)
    if verb in ("resume", "refuse", "accept", "forgive"):
        return getattr(proxy, verb)()
    if verb == "mangle":
        proxy.mangle(MANGLERS[rest[0]](), times=int(rest[1]) if len(rest) > 1 else 1)
        return None
    raise ValueError(f"no such command: {verb}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="HOST:PORT")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT")
    parser.add_argument("--blind", action="store_true", help="not MariaDB's protocol")
    args = parser.parse_args()
    host, port = args.target.rsplit(":", 1)
    with Proxy(host, int(port), args.listen, "blind" if args.blind else "mariadb") as proxy:
        print(f"listening on 127.0.0.1:{proxy.port}", flush=True)
        for line in sys.stdin:
            words = line.split()
            if words == ["quit"]:
                break
            try:
                print((obey(proxy, words) or "ok") if words else "", flush=True)
            except (ValueError, KeyError, IndexError, TypeError) as mistake:
                print(f"mistake: {mistake}", flush=True)


if __name__ == "__main__":
    main()
