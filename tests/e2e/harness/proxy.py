"""A stretch of bad network: a TCP proxy that delays, stalls, cuts and resets what runs through it, on command."""

import asyncio
import atexit
import socket
import struct
import threading

from . import ports


class Proxy:
    """Listens on a port of its own and passes everything on to `to_port`, as well as it is told to."""

    def __init__(self, to_port: int):
        self.port, self._to_port = ports.free(), to_port
        self._delay_s = 0.0
        self._is_refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {to_port}", daemon=True)
        self._thread.start()
        self._do(self._open())
        atexit.register(self.end)

    # what can go wrong with a network

    def delay(self, seconds: float) -> None:
        """From here on every piece, in both directions, arrives this much later."""
        self._delay_s = seconds

    def stall(self) -> None:
        """Nothing passes and nothing is refused: connections stay open and silent."""
        self._call(self._flows.clear)

    def flow(self) -> None:
        """What waited passes, in order."""
        self._call(self._flows.set)

    def cut(self) -> None:
        """Ends every connection in good order; new ones are accepted."""
        self._do(self._close(abruptly=False))

    def reset(self) -> None:
        """Ends every connection with a reset."""
        self._do(self._close(abruptly=True))

    def refuse(self) -> None:
        """Resets every connection, and every new one too, until `accept`."""
        self._is_refusing = True
        self.reset()

    def accept(self) -> None:
        self._is_refusing = False

    @property
    def connections(self) -> int:
        return len(self._writers) // 2

    def end(self) -> None:
        if self._thread.is_alive():
            self._do(self._close(abruptly=True))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2)

    # how it is done

    async def _open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._accept, ports.HOST, self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            return _reset(writer)
        try:
            onward_reader, onward_writer = await asyncio.open_connection(ports.HOST, self._to_port)
        except OSError:
            return _reset(writer)
        for each in (writer, onward_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writers |= {writer, onward_writer}
        await asyncio.gather(self._pass(reader, onward_writer), self._pass(onward_reader, writer), return_exceptions=True)
        for each in (writer, onward_writer):
            self._writers.discard(each)
            each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes one direction on; each piece waits its delay beside the others, so the delay costs no throughput."""
        due: asyncio.Queue = asyncio.Queue(maxsize=1024)
        sending = asyncio.ensure_future(self._send(due, writer))
        try:
            while piece := await reader.read(65536):
                await due.put((self._loop.time() + self._delay_s, piece))
        except ConnectionError:
            pass
        await due.put((self._loop.time() + self._delay_s, b""))
        await sending

    async def _send(self, due: asyncio.Queue, writer: asyncio.StreamWriter) -> None:
        while True:
            at, piece = await due.get()
            await asyncio.sleep(max(0.0, at - self._loop.time()))
            await self._flows.wait()
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def _close(self, *, abruptly: bool) -> None:
        for writer in list(self._writers):
            _reset(writer) if abruptly else writer.close()

    def _call(self, function) -> None:
        self._loop.call_soon_threadsafe(function)

    def _do(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(5)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes so that the other end is told with a reset."""
    peer = writer.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
