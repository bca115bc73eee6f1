from __future__ import annotations

import socket
import threading

from jupyter_kueue_local.ports import await_free


def test_a_port_is_free_once_its_last_holder_lets_go_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder, holder.dup() as last_holder:
        port = holder.getsockname()[1]
        holder.close()
        assert await_free([port], 0) == [port]
        letting_go = threading.Thread(target=last_holder.close)
        letting_go.start()
        assert await_free([port], 20) == []
        letting_go.join()
