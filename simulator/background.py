"""uvicorn in a thread, on a socket that is bound before the thread starts.

So the port is known, and a port that is taken is an `OSError` in the caller, not in the thread.
"""

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class _Protocol(H11Protocol):
    """Hands its transport to the application, so that a fault can cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # asyncio does this only for sockets made with an explicit protocol number. Without it an answer, which is
        # two packets, waits 40 ms for the client's delayed ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """Tells when it listens, and does not wait for anyone when it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A held-back answer or an idle keep-alive connection must not hold back the stop. Clients
        # with a request in flight see what they would see if a vendor's server went away.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await super().shutdown(sockets)


class BackgroundServer:
    """Serves an application on a socket until it is told to stop.

    Args:
        app: The ASGI application.
        listener: A bound socket; the server closes it.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        config = uvicorn.Config(
            self._until_cancelled,
            http=_Protocol,
            interface="asgi3",  # uvicorn's guess is wrong for a bound method
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    def start(self) -> None:
        """Start the thread and return when it listens.

        Raises:
            RuntimeError: If it could not start; the thread's own traceback says why.
        """
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            raise RuntimeError("the simulator's server could not start")

    def request_stop(self) -> None:
        """Ask the server to stop; only sets a flag, so a signal handler may call it."""
        self._server.should_exit = True

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the server has stopped, at most `timeout` seconds; return whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._listener.close()
            self._server.settled.set()  # also when it failed, or `start` would wait for ever

    async def _until_cancelled(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # The task ends here in any case. uvicorn would log a traceback for each, and nobody is
            # left to answer.
            if not self._server.should_exit:
                raise
