"""What may stand in PREFECT_API_URL that is no Prefect server, and what is said then."""

import http.server
import threading

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_CSRF_SUPPORT_ENABLED, temporary_settings

from flows.configured_server import check_server, needed_server, server_address
from limiter import ConfigurationError


@pytest.fixture
def stranger():
    """Start something that gives every request the same answer, or a version; the address it has then."""
    started = []

    def starts(status: int, content: bytes, version: bytes | None = None) -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                said = version if version and self.path == "/admin/version" else content
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield starts
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (200, b"<html>The UI, where the API is one path further</html>", "JSONDecodeError"),
        (404, b'{"detail":"Not Found"}', "404"),
        (401, b'{"exception_message":"Unauthorized"}', "401"),
        (200, b"true", "ValidationError"),
        (200, b"[]", "Error"),
    ],
)
def test_an_answer_that_is_none_of_prefects_is_a_sentence(stranger, status, content, said):
    url = stranger(status, content)
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ConfigurationError) as refused:
        check_server(url, "run it elsewhere")
    message = str(refused.value)
    assert message.startswith(f"What answers at {url} is no Prefect API that can be used (")
    assert said in message
    assert "Set PREFECT_API_URL to one (as http://127.0.0.1:4200/api)" in message
    assert "\n" not in message


@pytest.mark.parametrize(("version", "said"), [("2.20.1", "server: 2.20.1"), ("nightly", "InvalidVersion")])
def test_a_server_of_another_version_is_a_sentence(stranger, version, said):
    url = stranger(200, b"[]", f'"{version}"'.encode())
    settings = {PREFECT_API_URL: url, PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False}
    with temporary_settings(settings), pytest.raises(ConfigurationError, match=said):
        check_server(url, "run it elsewhere")


@pytest.mark.parametrize("host", ["127.0.0.1:9", "somebody:s3cret-key@127.0.0.1:9"])
def test_nobody_there_is_a_sentence_without_the_password(host):
    with temporary_settings({PREFECT_API_URL: f"http://{host}/api"}), pytest.raises(ConfigurationError) as refused:
        needed_server("Serving")
    assert str(refused.value).startswith("The Prefect server at http://127.0.0.1:9/api does not answer (ConnectError);")


def test_none_is_named_by_what_needs_one():
    with temporary_settings({PREFECT_API_URL: None}):
        assert server_address() is None
        with pytest.raises(ConfigurationError, match="Serving needs a Prefect server, and none is configured"):
            needed_server("Serving")


@pytest.mark.server
def test_a_server_is_the_one_that_is_set(server):
    with temporary_settings({PREFECT_API_URL: f"{server}/api"}):
        assert needed_server("Serving") == f"{server}/api"
