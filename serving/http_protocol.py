"""HTTP/1.1 by llhttp: what is no request is told by a problem document, and headers have an end."""

import secrets
from http import HTTPStatus

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import PROBLEM_JSON, Problem

MAX_HEAD_BYTES = 64 << 10  # uvicorn's own bound where h11 parses; here it has none


class BoundedHttp(HttpToolsProtocol):
    """One connection; it is closed where a request line and headers do not end."""

    _is_in_head, _head_bytes = False, 0

    def on_message_begin(self) -> None:
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; nothing of the application has seen it."""
        status, request_id = HTTPStatus.BAD_REQUEST, secrets.token_hex(16)
        document = Problem(
            type="about:blank",
            title=status.phrase,
            status=status,
            detail=msg,
            code=status.name,
            request_id=request_id,
        )
        body = msgspec.json.encode(document.model_dump())
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM_JSON}\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
