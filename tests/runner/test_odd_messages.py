"""Code in the kernel sends messages that no kernel should: the run goes on, and says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jupyter_kueue.contract import pod_contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner.pod import Job

SEND = """
kernel = get_ipython().kernel
def send(kind, content, **options):
    options.setdefault("parent", kernel.get_parent("shell"))
    kernel.session.send(kernel.iopub_socket, kind, content, **options)
"""
ODD = """
for kind in ("stream", "display_data", "execute_result", "error", "update_display_data",
             "clear_output", "comm_open", "comm_msg", "status", "execute_input", "unheard-of"):
    for content in ({}, {"data": "text"}, {"data": None, "metadata": []}, {"name": 1, "text": 2},
                    {"execution_state": []}, {"transient": "x"}, {"transient": {"display_id": []}},
                    {"comm_id": {}, "data": {"state": {"a": 1}, "buffer_paths": 3}}):
        send(kind, content)
send("stream", {"name": "stdout", "text": "of nobody"}, parent=None)
send(["a", "list"], {})
kernel.iopub_socket.send_multipart([b"no message"])
kernel.iopub_socket.send_multipart([b"<IDS|MSG>", b"forged", b"{}", b"{}", b"{}", b"{}"])
kernel.iopub_socket.send_multipart([b"<IDS|MSG>", b"", b"[", b"\\xff", b"", b""])
print("after")
"""
# Signed with the kernel's key, and of shapes that its own library refuses to send.
RAW = """
import json
session = kernel.session
def this_cell():
    return json.loads(json.dumps(kernel.get_parent("shell")["header"], default=str))
def raw(socket, kind, parent, content, idents=()):
    header = {**session.msg_header(kind), "date": "2026-01-01T00:00:00Z"}
    parts = [json.dumps(part).encode() for part in (header, parent, {}, content)]
    socket.send_multipart([*idents, b"<IDS|MSG>", session.sign(parts), *parts])
"""
MISSHAPEN = """
parent = this_cell()
for odd in ([], None, "x", 3, {}):
    raw(kernel.iopub_socket, "stream", odd, {"name": "stdout", "text": "of nobody"})
for odd in ([], None, "x", 3):
    raw(kernel.iopub_socket, "stream", parent, odd)
    raw(kernel.iopub_socket, "status", parent, odd)
widget = {"target_name": "jupyter.widget",
          "data": {"state": {"_model_name": "x"}, "buffer_paths": []}}
for comm_id in (1, "a", None, 2.5):
    raw(kernel.iopub_socket, "comm_open", parent, {"comm_id": comm_id, **widget})
print("after")
"""
REPLIES = """
parent = this_cell()
shell = getattr(kernel.shell_stream, "socket", kernel.shell_stream)
ident = kernel._parent_ident["shell"]
idents = ident if isinstance(ident, list) else [ident]
for odd in ([], None, "x", 3, {}, {"status": []}):
    raw(shell, "execute_reply", parent, odd, idents)
raw(shell, "execute_reply", [], {"status": "ok"}, idents)
shell.send_multipart([*idents, b"junk"])
shell.send_multipart([*idents, b"<IDS|MSG>", b"forged", b"{}", b"{}", b"{}", b"{}"])
print("after")
"""
# What libraries of widgets do, and bare nbclient takes.
COMMS = """
from comm import create_comm
for data in ("text", "the state", [1], ["state"], None, {"state": {"a": 1}}):
    comm = create_comm(target_name="x", data={})
    comm.send(data)
print("after")
"""

# ipywidgets.Output, as the kernel's side of it speaks.
WIDGET = """
from comm import create_comm
from IPython.display import display
told = []
widget = create_comm(target_name="jupyter.widget", data={"state": {
    "_model_name": "OutputModel", "_model_module": "@jupyter-widgets/output",
    "outputs": [], "msg_id": ""}, "buffer_paths": []})
widget.on_msg(lambda message: told.append(message["content"]["data"]["state"]["outputs"]))
def capture(msg_id):
    widget.send({"method": "update", "state": {"msg_id": msg_id}, "buffer_paths": []})
"""
CAPTURE = """
capture(get_ipython().kernel.get_parent("shell")["header"]["msg_id"])
for number in range(1000):
    display({"text/plain": "x" * 4000}, raw=True)
for number in range(20_000):
    print("y" * 99, flush=number == 19_999)
capture("")
print("outside")
"""


def test_what_cannot_be_understood_is_left_out_with_a_word(new_run: Callable[..., Job]) -> None:
    run = new_run(SEND + ODD, "print('the next cell')")

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log[-2000:]
    cells = json.loads(run.output("train.ipynb"))["cells"]
    printed, said = ("".join(_texts(cells[0], name)) for name in ("stdout", "stderr"))
    assert "after" in printed
    assert "of nobody" not in printed
    assert "A message from the kernel could not be understood (KeyError)" in said
    assert said.count("(KeyError)") == 1
    assert "".join(_texts(cells[1], "stdout")) == "the next cell\n"


def test_comms_without_a_state_are_no_fault(new_run: Callable[..., Job]) -> None:
    run = new_run(COMMS)

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log[-2000:]
    [cell] = json.loads(run.output("train.ipynb"))["cells"]
    assert _texts(cell, "stdout") == ["after\n"]
    assert _texts(cell, "stderr") == []


def test_parts_that_are_no_objects_cost_their_message_alone(new_run: Callable[..., Job]) -> None:
    run = new_run(SEND + RAW, MISSHAPEN, REPLIES, "print('the last cell')")

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log[-2000:]
    notebook = json.loads(run.output("train.ipynb"))
    _, misshapen, replies, last = notebook["cells"]
    assert "".join(_texts(misshapen, "stdout")) == "after\n"
    assert "could not be understood (TypeError)" in "".join(_texts(misshapen, "stderr"))
    assert "".join(_texts(replies, "stdout")) == "after\n"
    assert "".join(_texts(last, "stdout")) == "the last cell\n"
    [widgets] = notebook["metadata"]["widgets"].values()
    assert list(widgets["state"]) == ["a"]


def _texts(cell: dict, name: str) -> list[str]:
    return ["".join(out["text"]) for out in cell["outputs"] if out.get("name") == name]


def test_outputs_inside_a_widget_cost_what_they_hold(new_run: Callable[..., Job]) -> None:
    told = "print(len(told), len(told[-1]), sum(len(o.get('text', '')) for o in told[-1]))"
    run = new_run(WIDGET, CAPTURE, told, cell_timeout_seconds=60)

    pod = run.run()

    assert pod.exit_code == pod_contract.EXIT_SUCCEEDED, pod.log[-2000:]
    cells = json.loads(run.output("train.ipynb"))["cells"]
    assert _texts(cells[1], "stdout") == ["outside\n"]
    # Once, with 1000 displays and 2 MB of text in as few pieces as elsewhere.
    [text] = _texts(cells[2], "stdout")
    messages, outputs, characters = (int(word) for word in text.split())
    assert messages == 1
    assert 1000 < outputs < 1100
    assert characters == 2_000_000
    state = json.loads(run.output("train.ipynb"))["metadata"]["widgets"]
    [widget] = state["application/vnd.jupyter.widget-state+json"]["state"].values()
    assert len(widget["state"]["outputs"]) == outputs
