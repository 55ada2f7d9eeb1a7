"""The task process's end of the channel to its sub-worker."""

import os
import socket

from . import frames

VARIABLE = "POSTPONE_TASK_CHANNEL"


class ChannelError(Exception):
    """The channel is not what it should be: no socket, closed by a handler, or the sub-worker is gone."""


def descriptor_of(variable, value):
    """The number in an environment variable that a sub-worker sets."""
    if not value.isascii() or not value.isdigit():
        raise ChannelError(f'{variable} is "{value}", which is no descriptor; it is for sub-workers to set')
    return int(value)


class Channel:
    """By one thread, the one that runs handlers."""

    def __init__(self, value, version):
        self._fd = descriptor_of(VARIABLE, value)
        try:
            self._socket = socket.socket(fileno=self._fd)
        except OSError as error:
            raise ChannelError(
                f"{VARIABLE} is set, but descriptor {value} is no channel: {os.strerror(error.errno)}"
            ) from None
        os.set_inheritable(self._fd, False)  # no program that a handler starts has it
        self._decoder = frames.Decoder(version)
        self.is_closed = False

    def send(self, frame):
        try:
            self._socket.sendall(frame, socket.MSG_NOSIGNAL)
        except OSError as error:
            raise self._broken("write to", error) from None

    def send_if_free(self, frame):
        """Nothing when the sub-worker does not take it at once. A frame that is begun is ended."""
        try:
            sent = self._socket.send(frame, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise self._broken("write to", error) from None
        if sent < len(frame):
            self.send(frame[sent:])

    def receive(self):
        """The next frame; None when the sub-worker has closed the channel."""
        return self._read(0)

    def poll(self):
        """The next frame if one is there; None, and is_closed says whether there will be none."""
        return self._read(socket.MSG_DONTWAIT)

    def _read(self, flags):
        while True:
            frame = self._decoder.next()
            if frame is not None or self.is_closed:
                return frame
            try:
                some = self._socket.recv(65536, flags)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                some = b""
            except OSError as error:
                raise self._broken("read from", error) from None
            self._decoder.append(some)
            self.is_closed = not some

    def _broken(self, step, error):
        return ChannelError(
            f"cannot {step} the channel (descriptor {self._fd}, did a handler close it?): {os.strerror(error.errno)}"
        )
