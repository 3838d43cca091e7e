"""The simulator as a process sees it: ports, starts and stops, signals."""

import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from simulator import Simulator
from simulator.background import BackgroundServer


@pytest.fixture
def me(headers):
    return lambda vendor: httpx.get(vendor.base_url + "/users/me", headers=headers)


def test_it_stops_and_starts_again_on_the_same_port_with_what_it_had_seen(me):
    vendor = Simulator("none", latency=(0, 0))
    with vendor:
        address = vendor.url
        assert me(vendor).status_code == 200
    with pytest.raises(httpx.ConnectError):
        me(vendor)
    with vendor:
        assert vendor.url == address
        assert me(vendor).status_code == 200
        assert vendor.stats()["requests"] == 2


def test_a_stop_does_not_wait_for_open_connections_or_answers_held_back(me, headers):
    with httpx.Client(headers=headers) as idle, Simulator("none", latency=(3600, 3600)) as vendor:
        assert idle.get(vendor.url + "/_stats").status_code == 200
        outcome = []

        def ask():
            try:
                me(vendor)
            except httpx.TransportError as error:
                outcome.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while not vendor.stats()["requests"]:
            pass
        vendor.stop()
        asking.join(timeout=30)
        assert [type(error) for error in outcome] in ([httpx.RemoteProtocolError], [httpx.ReadError])


def test_a_taken_port_is_an_error_of_the_caller():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        vendor = Simulator("none", port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            vendor.start()
    with vendor:
        assert httpx.get(vendor.url + "/_stats").status_code == 200


def test_it_cannot_be_started_twice_and_may_be_stopped_twice():
    vendor = Simulator("none")
    with vendor:
        with pytest.raises(RuntimeError, match="running already"):
            vendor.start()
        vendor.stop()
        vendor.stop()


def test_a_stopped_one_keeps_no_thread():
    before = threading.active_count()
    with Simulator("none") as vendor:
        assert threading.active_count() == before + 1
    assert vendor.url.startswith("http://127.0.0.1:")
    assert threading.active_count() == before


def test_small_packets_are_sent_at_once():
    """Otherwise each answer waits 40 ms for the client's delayed ACK."""
    seen = []

    async def app(scope, receive, send):
        connection = scope["state"]["transport"].get_extra_info("socket")
        seen.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = BackgroundServer(app, listener)
    server.start()
    try:
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 204
    finally:
        server.request_stop()
        assert server.join(30)
    assert seen[0] != 0


SERVE = """
import signal
from simulator import Simulator
def handlers(): return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
before = handlers()
Simulator("none").serve(lambda url: print(url, flush=True))
print("the handlers are", "as before" if handlers() == before else "changed", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_served_in_the_foreground_it_ends_quietly_at_a_signal(number):
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().strip()
        assert httpx.get(url + "/_stats").json()["requests"] == 0
        os.kill(process.pid, number)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "the handlers are as before\n", "")


def test_served_in_a_thread_it_ends_when_it_is_stopped():
    vendor, ready = Simulator("none"), threading.Event()
    serving = threading.Thread(target=vendor.serve, args=(lambda url: ready.set(),))
    serving.start()
    assert ready.wait(30)
    assert httpx.get(vendor.url + "/_stats").status_code == 200
    vendor.stop()
    serving.join(timeout=30)
    assert not serving.is_alive()


def test_the_limits_do_not_import_the_server():
    """A benchmark in virtual time needs no web framework."""
    code = "import sys; from simulator import parse_policy; print(sorted({'starlette', 'uvicorn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_all_public_names_are_there():
    import simulator

    assert all(hasattr(simulator, name) for name in simulator.__all__)
    assert set(simulator.__all__) <= set(dir(simulator))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = simulator.Nothing
